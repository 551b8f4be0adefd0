package command

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/docs/doctest"
	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

var (
	named = regexp.MustCompile("`([\\w./]+\\.(?:rego|json|yaml))`")
	// took is how long something ran, which differs each time.
	took = regexp.MustCompile(`\b[0-9.]+(µs|ms|s)\b`)
	gaps = regexp.MustCompile(` {2,}`)
	// hash is a playbook's revision, which every change of a library changes.
	hash = regexp.MustCompile(`revision [0-9a-f]+( → [0-9a-f]+)?`)
)

// The page of the authors' tools: its files are written where it says, its commands
// run, and they print what stands there.
func TestToolsPage(t *testing.T) {
	page := doctest.Open(t, "docs/playbook-tools.md")
	e := apitest.Start(t, storetest.New(t))
	for i := range 12 {
		decided(t, e, i)
	}
	t.Setenv("RIPOSTE_DATA", folder(t, e.URL, apitest.Token))
	t.Chdir(t.TempDir())
	got := map[*doctest.Block]string{}
	for _, b := range page.Take() {
		switch b.Lang {
		case "rego", "json":
			names := named.FindAllStringSubmatch(b.Before, -1)
			require.NotEmpty(t, names, "where does this go? %s", b.Name())
			name := names[len(names)-1][1]
			require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
			require.NoError(t, os.WriteFile(name, []byte(b.Text), 0o644))
			if name == "alert.json" { // on one line
				require.NoError(t, os.WriteFile("alert.jsonl", []byte(strings.ReplaceAll(b.Text, "\n", "")+"\n"), 0o644))
			}
		case "console":
			got[b] = console(t, b)
		case "sh": // in a pipeline, of another server
			require.NoError(t, os.WriteFile("token", []byte(apitest.Token), 0o600))
			for _, c := range b.Commands() {
				words := doctest.Words(strings.NewReplacer("https://riposte.example", e.URL, "--since 14d", "--since 2026-02-01T00:00:00Z").Replace(c.Line))
				_, _, err := run(t, words[1:]...)
				require.NoError(t, err, c.Line)
			}
		default:
			require.Fail(t, "nothing runs it", "%s: %s", b.Name(), b.Lang)
		}
	}
	text := page.With(got)
	if *update {
		require.NoError(t, os.WriteFile(page.Path, []byte(text), 0o644))
		return
	}
	require.Equal(t, steady(page.Text), steady(text), "run the test with -update")
}

// console runs the commands of a block and returns it with what they print.
func console(t *testing.T, b *doctest.Block) string {
	t.Helper()
	var out strings.Builder
	for _, c := range b.Commands() {
		stdout, stderr, err := run(t, doctest.Words(c.Line)[1:]...)
		out.WriteString("$ " + c.Line + "\n" + stdout + stderr)
		if err != nil {
			out.WriteString("riposte: " + err.Error() + "\n")
		}
	}
	return out.String()
}

// steady leaves out how long things took, and so how wide columns are, and revisions.
func steady(s string) string {
	return hash.ReplaceAllString(gaps.ReplaceAllString(took.ReplaceAllString(s, "T"), " "), "revision")
}
