package playbook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"riposte/agent/alert"
	"riposte/docs/doctest"
	"riposte/responder/playbook"
)

var pages = filepath.Join("..", "..", "docs", "playbooks")

func readPage(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(pages, name))
	require.NoError(t, err)
	return string(b)
}

func embedded(t testing.TB) *playbook.Set {
	t.Helper()
	s, err := playbook.Load(patient, playbook.Embedded())
	require.NoError(t, err)
	return s
}

// Every playbook that comes with Riposte has a page that says what its METADATA
// says, and the index lists it. The index's table is written by -update.
func TestEachPlaybookHasAPage(t *testing.T) {
	var table strings.Builder
	table.WriteString("| playbook | what for | severity | mode | at once | ATT&CK | reacts to |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, p := range embedded(t).Playbooks() {
		page := readPage(t, p.Name+".md")
		require.True(t, strings.HasPrefix(page, "# "+p.Title+"\n"), p.Name)
		for _, part := range []string{"## Reacts to\n", "## Does\n", "## Does nothing\n", "## Switch it on\n", "## Example\n"} {
			require.Contains(t, page, part, p.Name)
		}
		for _, rule := range p.Trigger.Rules {
			require.Contains(t, page, rule, p.Name)
		}
		require.NotEmpty(t, p.Description, p.Name)
		require.Equal(t, "Riposte", p.Owner)
		if !strings.Contains(p.Files[0], "/triage/") { // noise is no technique
			require.NotEmpty(t, p.Attack, p.Name)
		}
		reacts := p.Trigger.String()
		if n := len(p.Trigger.Rules); n > 0 {
			reacts = fmt.Sprintf("%d rules", n)
		}
		fmt.Fprintf(&table, "| [`%s`](%[1]s.md) | %s | %s | %s | %s | %s | %s |\n", p.Name, p.Title, p.Severity, p.Mode, p.Contain, strings.Join(p.Attack, ", "), reacts)
	}
	index := readPage(t, "README.md")
	if *update {
		index = regexp.MustCompile(`(?s)\| playbook \|.*?\n\n`).ReplaceAllLiteralString(index, table.String()+"\n")
		require.NoError(t, os.WriteFile(filepath.Join(pages, "README.md"), []byte(index), 0o644))
	}
	require.Contains(t, index, table.String(), "run the test with -update")
	files, err := filepath.Glob(filepath.Join(pages, "*.md"))
	require.NoError(t, err)
	require.Len(t, files, len(embedded(t).Playbooks())+1, "a page without a playbook")
}

// The examples of the pages are what the playbooks really answer: the first block
// is the alert, the second what the responder knows beside it, the third the
// actions, one a line. -update writes the third.
func TestThePagesExamples(t *testing.T) {
	s := embedded(t)
	for _, p := range s.Playbooks() {
		t.Run(p.Name, func(t *testing.T) {
			page := doctest.Open(t, "docs/playbooks/"+p.Name+".md", "json")
			blocks := page.Take("json")
			require.Len(t, blocks, 3)
			got := lines(t, decide(t, s, p.Name, blocks[0].Text, blocks[1].Text))
			if *update {
				require.NoError(t, os.WriteFile(page.Path, []byte(page.With(map[*doctest.Block]string{blocks[2]: got})), 0o644))
				return
			}
			require.Equal(t, got, blocks[2].Text, "run the test with -update")
			require.NotEmpty(t, got)
		})
	}
}

// decide asks one playbook about an alert, as it stands in a page.
func decide(t *testing.T, s *playbook.Set, name, alertText, beside string) []playbook.Proposal {
	t.Helper()
	var in playbook.Input
	strict := json.NewDecoder(strings.NewReader(beside))
	strict.DisallowUnknownFields()
	require.NoError(t, strict.Decode(&in))
	require.NoError(t, json.Unmarshal([]byte(alertText), &in.Alert))
	require.NoError(t, in.Alert.Validate())
	r := in.Alert.Riposte
	in.Node.Name, in.Cluster.Name, in.Now = r.Node, r.Cluster, in.Alert.Time.Add(time.Second)
	for _, d := range s.Evaluate(context.Background(), in) {
		if d.Playbook == name {
			require.Empty(t, d.Refusal)
			return d.Proposals
		}
	}
	require.Fail(t, "the alert does not trigger the playbook")
	return nil
}

// The pages' alerts are of rules that there are.
func TestThePagesAlertsAreReal(t *testing.T) {
	all := allRules(t)
	for _, p := range embedded(t).Playbooks() {
		page := doctest.Open(t, "docs/playbooks/"+p.Name+".md", "json")
		var a alert.Alert
		require.NoError(t, json.Unmarshal([]byte(page.Take("json")[0].Text), &a), p.Name)
		r, ok := all[a.Rule]
		require.True(t, ok, "%s: no rule is called %q", p.Name, a.Rule)
		priority, err := alert.ParsePriority(r.Priority)
		require.NoError(t, err)
		require.Equal(t, priority, a.Priority, p.Name)
		require.Equal(t, r.Tags, a.Tags, p.Name)
	}
}

// lines are the proposals as JSON, one a line, in the order of their types.
func lines(t *testing.T, all []playbook.Proposal) string {
	t.Helper()
	out := make([]string, len(all))
	for i, p := range all {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		require.NoError(t, enc.Encode(p))
		out[i] = b.String()
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// rule is what a rules file says of a rule.
type rule struct {
	Name     string   `yaml:"rule"`
	Priority string   `yaml:"priority"`
	Tags     []string `yaml:"tags"`
}

// allRules are ours and Falco's, whose files RIPOSTE_FALCO_RULES names.
func allRules(t *testing.T) map[string]rule {
	t.Helper()
	dir := os.Getenv("RIPOSTE_FALCO_RULES")
	if dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("RIPOSTE_FALCO_RULES names no directory with Falco's rules")
		}
		t.Skip("RIPOSTE_FALCO_RULES names no directory with Falco's rules")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	out := map[string]rule{}
	for _, f := range append(files, filepath.Join("..", "..", "agent", "rules", "defaults", "container.yaml")) {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		var all []rule
		require.NoError(t, yaml.Unmarshal(b, &all))
		for _, r := range all {
			if r.Name != "" { // a list, a macro
				out[r.Name] = r
			}
		}
	}
	return out
}

// A playbook that waits for a rule that nobody has would never be asked.
func TestTriggersNameRealRules(t *testing.T) {
	all := allRules(t)
	for _, p := range embedded(t).Playbooks() {
		fits := false
		for _, name := range p.Trigger.Rules {
			require.Contains(t, all, name, p.Name)
		}
		for _, r := range all {
			priority, err := alert.ParsePriority(r.Priority)
			require.NoError(t, err)
			fits = fits || p.Trigger.Matches(&alert.Alert{Rule: r.Name, Tags: r.Tags, Priority: priority, Source: "syscall"})
		}
		require.True(t, fits, "%s: no rule triggers it", p.Name)
	}
}
