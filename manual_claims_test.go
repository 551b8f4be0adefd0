package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"riposte/docs/doctest"
)

// Every fenced block of every page is run: some test opens the page for its language,
// and doctest fails a test that opens a page and leaves a block out. A block that is not
// run says why, and these are few.
func TestEveryExampleIsExecuted(t *testing.T) {
	claims := claims(t)
	pages, err := doctest.Pages()
	require.NoError(t, err)
	require.Greater(t, len(pages), 30)
	ran, left := 0, 0
	used := map[string]bool{}
	for _, file := range pages {
		p, err := doctest.Read(file)
		require.NoError(t, err)
		for _, b := range p.Blocks {
			if b.NotRun != "" {
				left++
				t.Logf("%s (%s) is not run: %s", b.Name(), b.Lang, b.NotRun)
				continue
			}
			ran++
			if !slices.ContainsFunc(slices.Collect(maps.Keys(claims)), func(c claim) bool {
				ok, err := path.Match(c.page, file)
				require.NoError(t, err)
				if ok = ok && (c.langs == "" || slices.Contains(strings.Fields(c.langs), b.Lang)); ok {
					used[c.page] = true
				}
				return ok
			}) {
				t.Errorf("%s: no test opens this page for %q: see docs/doctest", b.Name(), b.Lang)
			}
		}
	}
	for c, where := range claims {
		require.True(t, used[c.page], "%s opens %s, which has no such block", where, c.page)
	}
	t.Logf("%d blocks are run, %d are not", ran, left)
	require.Less(t, left*6, ran, "too many blocks are not run")
}

// claim is a page that a test opens, with * for what it finds out as it runs, and the
// languages, all if there are none.
type claim struct{ page, langs string }

// claims finds the calls of doctest.Open in all tests, those of other modules too.
func claims(t *testing.T) map[claim]string {
	t.Helper()
	all := map[claim]string{}
	require.NoError(t, filepath.WalkDir(doctest.Root(), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && file != doctest.Root()) {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(file, "_test.go") {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Open" || name(f.X) != "doctest" {
				return true
			}
			page := literal(call.Args[1])
			if !strings.HasSuffix(page, ".md") { // a test of doctest itself
				return true
			}
			var langs []string
			for _, a := range call.Args[2:] {
				langs = append(langs, literal(a))
			}
			all[claim{page, strings.Join(langs, " ")}] = set.Position(call.Pos()).String()
			return true
		})
		return nil
	}))
	return all
}

func name(e ast.Expr) string {
	if i, ok := e.(*ast.Ident); ok {
		return i.Name
	}
	return ""
}

// literal is a text in a program, with * for the parts that are none.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s
		}
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	}
	return "*"
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	inFences = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	inCode   = regexp.MustCompile("`[^`\n]*`")
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the names under which a page's headings can be linked, as code hosts
// make them.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(inFences.ReplaceAllString(text, ""), -1) {
		all[strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

// Every relative link leads to a file and, if it says so, to a heading in it.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	pages, err := doctest.Pages()
	require.NoError(t, err)
	looked := 0
	for _, file := range pages {
		b, err := os.ReadFile(filepath.Join(doctest.Root(), file))
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(inCode.ReplaceAllString(inFences.ReplaceAllString(string(b), ""), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			looked++
			to, anchor, hasAnchor := strings.Cut(m[1], "#")
			target := filepath.Join(doctest.Root(), file)
			if to != "" {
				target = filepath.Join(filepath.Dir(target), to)
			}
			info, err := os.Stat(target)
			if err != nil {
				t.Errorf("%s: the link %s leads nowhere", file, m[1])
				continue
			}
			if !hasAnchor || info.IsDir() {
				continue
			}
			b, err := os.ReadFile(target)
			require.NoError(t, err)
			if !anchors(string(b))[anchor] {
				t.Errorf("%s: the link %s leads to no heading", file, m[1])
			}
		}
	}
	require.Greater(t, looked, 100)
}

var (
	codeSpan  = regexp.MustCompile("`([^`\n]+)`")
	makeWords = regexp.MustCompile(`^(?:sudo )?(?:[A-Z]+=\S+ )?make ([a-z][a-z0-9-]*)`)
)

// What the text names is there too: targets of make, and commands with their flags.
func TestWhatTheTextNamesIsThere(t *testing.T) {
	pages, err := doctest.Pages()
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(doctest.Root(), "Makefile"))
	require.NoError(t, err)
	makefile := string(b)
	looked := 0
	for _, file := range pages {
		if file == "CHANGELOG.md" {
			continue // it speaks of what was
		}
		b, err := os.ReadFile(filepath.Join(doctest.Root(), file))
		require.NoError(t, err)
		for _, m := range codeSpan.FindAllStringSubmatch(inFences.ReplaceAllString(string(b), ""), -1) {
			if target := makeWords.FindStringSubmatch(m[1]); target != nil {
				looked++
				if !regexp.MustCompile(`(?m)^(\S+ )*` + target[1] + `( \S+)*:`).MatchString(makefile) {
					t.Errorf("%s: `%s` is no target", file, m[1])
				}
				continue
			}
			if words := doctest.Words(m[1]); len(words) > 1 && words[0] == "riposte" {
				looked++
				if says := noCommand(words[1:]); says != "" {
					t.Errorf("%s: `%s`: %s", file, m[1], says)
				}
			}
		}
	}
	require.Greater(t, looked, 100)
}

var plain = regexp.MustCompile(`^[a-z][a-z-]*$`)

// noCommand says why words are no command of this program. A word with | stands for
// each of its parts, and what is written in capitals for anything.
func noCommand(words []string) string {
	at := newRoot()
	at.InitDefaultCompletionCmd()
	for i, w := range words {
		if first, rest, several := strings.Cut(w, "|"); several {
			for _, one := range append(strings.Split(rest, "|"), first) {
				if says := noCommand(append(slices.Clone(words[:i]), append([]string{one}, words[i+1:]...)...)); says != "" {
					return says
				}
			}
			return ""
		}
		if flag, ok := strings.CutPrefix(w, "--"); ok {
			flag, _, _ = strings.Cut(flag, "=")
			if flag = strings.TrimRight(flag, ",.…"); flag != "" && at.Flags().Lookup(flag) == nil && at.InheritedFlags().Lookup(flag) == nil && flag != "help" {
				return at.CommandPath() + " has no flag --" + flag
			}
			continue
		}
		if !plain.MatchString(w) || !at.HasSubCommands() {
			continue
		}
		below := at.Commands()
		if n := slices.IndexFunc(below, func(c *cobra.Command) bool { return c.Name() == w || c.HasAlias(w) }); n >= 0 {
			at = below[n]
		} else if !at.Runnable() || at == at.Root() {
			return at.CommandPath() + " has no command " + w
		}
	}
	return ""
}
