package doctest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/docs/doctest"
)

const file = "docs/doctest/testdata/page.txt"

func TestPage(t *testing.T) {
	p := doctest.Open(t, file)
	require.Len(t, p.Blocks, 4)
	rego := p.In(t, "A page", "rego")
	require.Equal(t, "package a\n", rego.Text)
	require.Contains(t, rego.Before, "`a.rego`")
	require.Equal(t, file+":5", rego.Name())

	sh := p.In(t, "Commands", "sh")
	require.Equal(t, []doctest.Command{{Line: `riposte a --text "b  c"    --more`}, {Line: "riposte d"}}, sh.Commands())
	require.Equal(t, []string{"riposte", "a", "--text", "b  c", "--more"}, doctest.Words(sh.Commands()[0].Line))

	console := p.In(t, "Commands", "console")
	require.Equal(t, []doctest.Command{{Line: "riposte show 1", Output: "one\ntwo\n"}, {Line: "riposte end"}}, console.Commands())

	require.Equal(t, "it is a picture", p.Blocks[3].NotRun)
	require.Len(t, p.Take(), 3)
	changed := p.With(map[*doctest.Block]string{rego: "package b\n"})
	require.Contains(t, changed, "```rego\npackage b\n```\n")
	require.Len(t, changed, len(p.Text))
}

// watched is a test whose failures and end are another test's to see.
type watched struct {
	testing.TB
	failed []string
	end    []func()
}

func (w *watched) Helper()          {}
func (w *watched) Failed() bool     { return false }
func (w *watched) Skipped() bool    { return false }
func (w *watched) Cleanup(f func()) { w.end = append(w.end, f) }
func (w *watched) Errorf(format string, _ ...any) {
	w.failed = append(w.failed, format)
}

// A test that leaves a block out fails; one that answers for a language alone does not
// for the others.
func TestABlockThatIsLeftOut(t *testing.T) {
	end := func(open func(testing.TB)) int {
		w := &watched{TB: t}
		open(w)
		for _, f := range w.end {
			f()
		}
		return len(w.failed)
	}
	require.Equal(t, 3, end(func(w testing.TB) { doctest.Open(w, file) }))
	require.Equal(t, 2, end(func(w testing.TB) { doctest.Open(w, file).Take("sh") }))
	require.Equal(t, 1, end(func(w testing.TB) { doctest.Open(w, file, "rego") }))
	require.Zero(t, end(func(w testing.TB) { doctest.Open(w, file, "rego").Take("rego") }))
	require.Zero(t, end(func(w testing.TB) { doctest.Open(w, file).Take() }))
}

func TestABlockWithoutAnEnd(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(name, []byte("```sh\nriposte\n"), 0o600))
	relative, err := filepath.Rel(doctest.Root(), name)
	require.NoError(t, err)
	_, err = doctest.Read(relative)
	require.ErrorContains(t, err, "page.md:1: the block does not end")
}

func TestPages(t *testing.T) {
	all, err := doctest.Pages()
	require.NoError(t, err)
	require.Contains(t, all, "README.md")
	require.Contains(t, all, "docs/install.md")
	require.NotContains(t, all, file)
}
