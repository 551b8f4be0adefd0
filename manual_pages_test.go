package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/docs/doctest"
	"riposte/responder/api/apitest"
	"riposte/responder/api/server"
	"riposte/responder/playbook"
	"riposte/responder/store/storetest"
)

// by is what runs the blocks of each language.
type by = map[string]func(*testing.T, *doctest.Block)

// asking is a desk whose commands ask an API that has what the examples are about, and
// the playbooks that come with Riposte.
func asking(t *testing.T, here ...string) *desk {
	t.Helper()
	set, err := playbook.Load(playbook.Options{}, playbook.Embedded())
	require.NoError(t, err)
	e := apitest.StartWith(t, storetest.New(t), server.Options{Playbooks: set.Playbooks})
	e.AddManual(t)
	d := newDesk(t, append(here, "http://127.0.0.1:7411", e.URL)...)
	endpoint, err := json.Marshal(map[string]string{"url": e.URL})
	require.NoError(t, err)
	d.write(t, "running/endpoint.json", string(endpoint))
	d.write(t, "running/token", apitest.Token)
	d.here = append(d.here, "/var/lib/riposte/token", d.path("running/token"))
	d.env = append(d.env, "RIPOSTE_DATA="+d.path("running"))
	return d
}

// file writes a block to the file that the text before it names last.
func (d *desk) file(t *testing.T, b *doctest.Block) {
	t.Helper()
	names := named.FindAllStringSubmatch(b.Before, -1)
	require.NotEmpty(t, names, "%s: where does this go?", b.Name())
	d.write(t, names[len(names)-1][1], b.Text)
}

var named = regexp.MustCompile("`([\\w./-]+\\.(?:rego|json|yaml|conf|ruletest))`")

func TestREADME(t *testing.T) {
	d := asking(t)
	p := doctest.Open(t, "README.md")
	d.page(t, p, by{"rego": d.file, "console": func(t *testing.T, b *doctest.Block) {
		t.Helper()
		if commands := b.Commands(); strings.HasPrefix(commands[len(commands)-1].Line, "riposte up ") {
			text, _, _ := strings.Cut(b.Text, "$ riposte up ")
			b = &doctest.Block{Page: b.Page, Line: b.Line, Lang: b.Lang, Text: text}
			// The rest of the line is what "up" takes.
			_, says, err := d.shell(t, strings.TrimPrefix(commands[len(commands)-1].Line, "$ ")+" --help")
			require.NoError(t, err, says)
		}
		d.run(t, b)
	}})
	manual, err := doctest.Read("docs/playbooks.md")
	require.NoError(t, err)
	require.Contains(t, manual.Text, p.In(t, "Your first playbook", "rego").Text, "the manual goes on with another playbook")
}

func TestIncidentsPage(t *testing.T) { asking(t).page(t, doctest.Open(t, "docs/incidents.md"), nil) }

// The pages of the playbooks; responder/playbook has their JSON.
func TestPlaybooksPages(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(doctest.Root(), "docs/playbooks/*.md"))
	require.NoError(t, err)
	d := asking(t)
	for _, file := range files {
		page := filepath.Base(file)
		t.Run(page, func(t *testing.T) {
			for _, b := range doctest.Open(t, "docs/playbooks/"+page, "sh").Take("sh") {
				d.run(t, b)
			}
		})
	}
}

func TestGuardPage(t *testing.T) {
	d := asking(t)
	d.page(t, doctest.Open(t, "docs/guard.md", "sh", "rego", "json", "console"), by{
		"yaml": func(*testing.T, *doctest.Block) {}, // responder/guard has it
		"rego": func(t *testing.T, b *doctest.Block) { t.Helper(); d.write(t, "guard/freeze.rego", b.Text) },
		"json": func(t *testing.T, b *doctest.Block) { t.Helper(); d.write(t, "guard/data.json", b.Text) },
		"console": func(t *testing.T, b *doctest.Block) {
			t.Helper()
			require.Equal(t, b.Commands()[0].Output, d.run(t, b))
		},
	})
}

func TestAPIPage(t *testing.T) {
	d := asking(t)
	p := doctest.Open(t, "docs/api.md")
	for _, b := range p.Take("sh") {
		var page struct {
			Items []map[string]any `json:"items"`
		}
		require.NoError(t, json.Unmarshal([]byte(d.run(t, &doctest.Block{Page: b.Page, Line: b.Line, Text: strings.ReplaceAll(b.Text, "curl ", "curl -fsS ")})), &page))
		require.NotEmpty(t, page.Items)
		require.Contains(t, page.Items[0], "rule")
	}
}

func TestRulesPage(t *testing.T) {
	d := newDesk(t)
	rules, err := os.ReadFile(filepath.Join(falcoRules(t), "falco_rules.yaml"))
	require.NoError(t, err)
	own, err := os.ReadFile(filepath.Join(doctest.Root(), "agent/rules/defaults/container.yaml"))
	require.NoError(t, err)
	d.write(t, "falco_rules.yaml", string(rules))
	d.write(t, "local.yaml", "- macro: container_entrypoint\n  condition: (proc.vpid=1)\n  override: {condition: replace}\n")
	d.write(t, "my_rules.yaml", string(own))
	p := doctest.Open(t, "docs/rules.md")
	d.write(t, "my_rules.ruletest", p.In(t, "Test", "ruletest").Text)
	d.page(t, p, by{"ruletest": func(*testing.T, *doctest.Block) {}}) // the page's commands run it
}

// falcoRules is the folder of Falco's own rule files.
func falcoRules(t *testing.T) string { return folderOf(t, "RIPOSTE_FALCO_RULES", "Falco's rules") }

func folderOf(t *testing.T, variable, what string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s names no folder of %s", variable, what)
		}
		t.Skipf("%s names no folder of %s", variable, what)
	}
	return dir
}

// The first playbook, its commands and what they print, and a signed bundle of it.
func TestPlaybooksPage(t *testing.T) {
	d := newDesk(t)
	d.page(t, doctest.Open(t, "docs/playbooks.md"), by{
		"rego": d.file,
		"console": func(t *testing.T, b *doctest.Block) {
			t.Helper()
			kept, err := os.ReadFile(d.path("playbooks/delete_miners.rego"))
			require.NoError(t, err)
			defer d.write(t, "playbooks/delete_miners.rego", string(kept))
			if strings.Contains(b.Text, "input.alert.rul") { // what a misspelt field says
				d.write(t, "playbooks/delete_miners.rego", strings.TrimSuffix(string(kept), "\n")+" if {\n\tinput.alert.rul == \"Miner\"\n}\n")
			}
			for _, c := range b.Commands() {
				out, says, _ := d.shell(t, c.Line) // one of them is about an error
				require.Equal(t, steady(c.Output), steady(out+says), c.Line)
			}
		},
	})
}

var (
	took   = regexp.MustCompile(`\b[0-9.]+(µs|ms|s)\b`)
	blanks = regexp.MustCompile(` {2,}`)
	ends   = regexp.MustCompile(`(?m) +$`)
)

// steady leaves out how long things took, and so how wide columns are.
func steady(s string) string {
	return blanks.ReplaceAllString(took.ReplaceAllString(ends.ReplaceAllString(strings.TrimSpace(s), ""), "T"), " ")
}

// What stands in a playbook's METADATA is a part of one that compiles.
func TestContainmentPage(t *testing.T) {
	for _, b := range doctest.Open(t, "docs/containment.md").Take("rego") {
		d := newDesk(t)
		d.write(t, "playbooks/contained.rego", `# METADATA
# scope: package
# title: A playbook of the manual
# description: It contains at once.
`+b.Text+`#   owner: docs
#   severity: high
package playbooks.contained

import data.riposte.lib.target

action contains {"type": "kill_container", "target": target.container, "reason": "a reverse shell"}
`)
		out, says, err := d.shell(t, "riposte playbooks check ./playbooks")
		require.NoError(t, err, says)
		require.Contains(t, out, "contained")
	}
}

// The commands of the pages about a local cluster and about figures are for machines of
// their own: here it is looked at that what they name is there.
func TestPagesForOtherMachines(t *testing.T) {
	script, err := os.ReadFile(filepath.Join(doctest.Root(), "deploy/cluster/cluster"))
	require.NoError(t, err)
	d := newDesk(t)
	cluster, performance, scaling := doctest.Open(t, "docs/cluster.md"), doctest.Open(t, "docs/performance.md"), doctest.Open(t, "docs/scaling.md", "console")
	for _, b := range slices.Concat(cluster.Take(), performance.Take(), scaling.Take("console")) {
		for _, c := range b.Commands() {
			words := doctest.Words(strings.TrimPrefix(strings.TrimSuffix(c.Line, " &"), "sudo "))
			for strings.Contains(words[0], "=") { // a variable
				words = words[1:]
			}
			switch words[0] {
			case "make":
				_, says, err := d.shell(t, strings.Join(words, " "))
				require.NoError(t, err, "%s: %s", b.Name(), says)
			case "deploy/cluster/cluster":
				require.Regexp(t, `(?m)^\s*\|?\s*`+words[1]+`\)|\|\s*`+words[1]+`\b`, string(script), "%s: %s", b.Name(), c.Line)
			case "go":
				requireBenchmark(t, b, words)
			case "echo", "for", "riposte":
				require.Contains(t, c.Line, "riposte", b.Name())
			default:
				require.Fail(t, "nothing looks at it", "%s: %s", b.Name(), c.Line)
			}
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(RIPOSTE_\\w+)` \\|").FindAllStringSubmatch(mustRead(t, "docs/cluster.md").Text, -1) {
		require.Contains(t, string(script), m[1])
	}
}

func mustRead(t *testing.T, file string) *doctest.Page {
	t.Helper()
	p, err := doctest.Read(file)
	require.NoError(t, err)
	return p
}

// requireBenchmark looks for the benchmarks of a "go test" in the package's files.
func requireBenchmark(t *testing.T, b *doctest.Block, words []string) {
	t.Helper()
	var packages []string
	pattern := ""
	for i, w := range words {
		switch {
		case strings.HasPrefix(w, "./"):
			packages = append(packages, w)
		case w == "-bench":
			pattern = words[i+1]
		}
	}
	if words[1] == "build" {
		dir := filepath.Join(doctest.Root(), words[slices.Index(words, "-C")+1])
		require.FileExists(t, filepath.Join(dir, "go.mod"), b.Name())
		return
	}
	require.Equal(t, "test", words[1], b.Name())
	require.NotEmpty(t, packages, b.Name())
	wanted, err := regexp.Compile(pattern)
	require.NoError(t, err, b.Name())
	for _, dir := range packages {
		files, err := filepath.Glob(filepath.Join(doctest.Root(), dir, "*_test.go"))
		require.NoError(t, err)
		found := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range regexp.MustCompile(`(?m)^func Benchmark(\w+)\(`).FindAllStringSubmatch(string(text), -1) {
				found = found || wanted.MatchString(m[1])
			}
		}
		require.True(t, found, "%s: no benchmark of %s is called %s", b.Name(), dir, pattern)
	}
}
