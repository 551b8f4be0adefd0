package command

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

var (
	fenced = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```\n")
	named  = regexp.MustCompile("`([\\w./]+\\.(?:rego|json|yaml))`")
	// took is how long something ran, which differs each time.
	took = regexp.MustCompile(`\b[0-9.]+(µs|ms|s)\b`)
	gaps = regexp.MustCompile(` {2,}`)
	// hash is a playbook's revision, which every change of a library changes.
	hash = regexp.MustCompile(`revision [0-9a-f]+( → [0-9a-f]+)?`)
)

// The page of the authors' tools: its files are written where it says, its commands
// run, and they print what stands there.
func TestToolsPage(t *testing.T) {
	page := filepath.Join("..", "..", "docs", "playbook-tools.md")
	page, err := filepath.Abs(page)
	require.NoError(t, err)
	text, err := os.ReadFile(page)
	require.NoError(t, err)

	e := apitest.Start(t, storetest.New(t))
	for i := range 12 {
		decided(t, e, i)
	}
	t.Setenv("RIPOSTE_DATA", folder(t, e.URL, apitest.Token))
	t.Chdir(t.TempDir())
	var out strings.Builder
	last := 0
	for _, at := range fenced.FindAllSubmatchIndex(text, -1) {
		before, kind, body := string(text[last:at[0]]), string(text[at[2]:at[3]]), string(text[at[4]:at[5]])
		out.WriteString(before)
		last = at[1]
		switch kind {
		case "rego", "json":
			names := named.FindAllStringSubmatch(before, -1)
			require.NotEmpty(t, names, "where does this go? %s", body)
			name := names[len(names)-1][1]
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
			require.NoError(t, os.WriteFile(name, []byte(body), 0o644))
			if name == "alert.json" { // on one line
				require.NoError(t, os.WriteFile("alert.jsonl", []byte(strings.ReplaceAll(body, "\n", "")+"\n"), 0o644))
			}
		case "console":
			body = console(t, body)
		}
		out.WriteString("```" + kind + "\n" + body + "```\n")
	}
	out.Write(text[last:])
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(out.String()), 0o644))
		return
	}
	require.Equal(t, steady(string(text)), steady(out.String()), "run the test with -update")
}

// console runs the commands of a block and returns it with what they print.
func console(t *testing.T, body string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(body) {
		command, ok := strings.CutPrefix(line, "$ riposte ")
		if !ok {
			continue
		}
		stdout, stderr, err := run(t, words(strings.TrimSpace(command))...)
		out.WriteString(line + stdout + stderr)
		if err != nil {
			out.WriteString("riposte: " + err.Error() + "\n")
		}
	}
	return out.String()
}

// words splits a command as a shell does, as far as the page needs it.
func words(line string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`"([^"]*)"|'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		all = append(all, m[1]+m[2]+m[3])
	}
	return all
}

// steady leaves out how long things took, and so how wide columns are, and revisions.
func steady(s string) string {
	return hash.ReplaceAllString(gaps.ReplaceAllString(took.ReplaceAllString(s, "T"), " "), "revision")
}
