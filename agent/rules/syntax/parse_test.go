package syntax_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"riposte/agent/rules/syntax"
)

func TestParsePrintsItsMeaning(t *testing.T) {
	for _, tc := range []struct{ in, out string }{
		{"proc.name=sh", "proc.name = sh"},
		{"a and b or c", "(a and b) or c"},
		{"a or b and not c", "a or (b and not c)"},
		{"not not a", "a"},
		{"not not not a", "not a"},
		{"not(a)", "not a"},
		{"not (not a) and b", "not (not a) and b"},
		{"not (a or b)", "not (a or b)"},
		{"(a)and(b)or(c)", "(a and b) or c"},
		{"(((a)))", "a"},
		{"a and\n\t(b and c)", "a and (b and c)"},
		{"proc.pname exists", "proc.pname exists"},
		{"proc.name in(a,b , \"c d\")", `proc.name in (a, b, "c d")`},
		{"proc.name in ()", "proc.name in ()"},
		{"proc.name in a", "proc.name in (a)"},
		{"fd.num>=0", "fd.num >= 0"},
		{"fd.num < -0x1", ""},
		{"fd.num > 0x1F", "fd.num > 0x1F"},
		{"fd.num <= -1.5e+3", "fd.num <= -1.5e+3"},
		{"evt.dir=<", "evt.dir = <"},
		{"evt.dir = >", "evt.dir = >"},
		{"fd.name startswith /etc/", "fd.name startswith /etc/"},
		{"fd.name startswith anyof (/etc, /usr)", "fd.name startswith anyof (/etc, /usr)"},
		{"fd.name = oneof", "fd.name = oneof"},
		{"fd.name != allof ('a')", `fd.name != allof ("a")`},
		{"proc.aname[2] = x", "proc.aname[2] = x"},
		{`container.mount.dest[/proc*]!='N/A'`, `container.mount.dest[/proc*] != "N/A"`},
		{`proc.env["a b"] contains x`, `proc.env["a b"] contains x`},
		{"tolower(basename(proc.exe)) = val(proc.name)", "tolower(basename(proc.exe)) = val(proc.name)"},
		{"proc.name = tolower(proc.exe)", "proc.name = tolower(proc.exe)"},
		{"len(join(\",\", (proc.name, 'x'))) > 3", `len(join(",", (proc.name, "x"))) > 3`},
		{"fd.name pmatch (/a,/b) and fd.types intersects (x)", "fd.name pmatch (/a, /b) and fd.types intersects (x)"},
		{`proc.args contains "a\"b\\c\x41\n\ d"`, `proc.args contains "a\"b\\cA\x0a\\d"`},
		{`proc.args contains 'it\'s "q"'`, `proc.args contains "it's \"q\""`},
		{"not_a_macro or notable or android or order", "not_a_macro or notable or android or order"},
		{"evt.type in (open,openat) and evt.is_open_read=true", "evt.type in (open, openat) and evt.is_open_read = true"},
	} {
		n, err := syntax.Parse(tc.in)
		if tc.out == "" {
			require.Error(t, err, tc.in)
			continue
		}
		require.NoError(t, err, tc.in)
		require.Equal(t, tc.out, n.String())
		again, err := syntax.Parse(n.String())
		require.NoError(t, err, tc.in)
		require.Empty(t, cmp.Diff(n, again, ignorePos), tc.in)
	}
}

// ignorePos compares trees without their places.
var ignorePos = cmp.Comparer(func(_, _ syntax.Pos) bool { return true })

func TestParseErrorsHaveAPlace(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", "1:1: unexpected end of the condition: expecting a field, a macro or '('\n\n^"},
		{"proc.name", "1:10: unexpected end of the condition: expecting an operator after proc.name, such as =, in, contains, startswith or exists\nproc.name\n         ^"},
		{"proc.name = ", "1:13: unexpected end of the condition: expecting a value\nproc.name =\n            ^"},
		{"proc.name = a b", "1:15: unexpected 'b': expecting 'and', 'or' or the end of the condition\nproc.name = a b\n              ^"},
		{"a and", "1:6: unexpected end of the condition: expecting a field, a macro or '('\na and\n     ^"},
		{"a and\n  (b or c", "2:3: this parenthesis is not closed\n  (b or c\n  ^"},
		{"a or or b", "1:6: unexpected 'or': an expression is missing\na or or b\n     ^"},
		{"a)", "1:2: unexpected ')': expecting 'and', 'or' or the end of the condition\na)\n ^"},
		{"fd.num > x", "1:10: unexpected 'x': operator > needs a number\nfd.num > x\n         ^"},
		{"fd.name = (a, b)", "1:11: operator = needs one value, not a list: use 'in', or '= anyof (...)'\nfd.name = (a, b)\n          ^"},
		{"fd.name in 3", "1:12: unexpected '3': operator in needs a list in parentheses\nfd.name in 3\n           ^"},
		{"fd.name in (a, )", "1:16: unexpected ')': expecting a value\nfd.name in (a, )\n               ^"},
		{"fd.name = \"a", "1:11: this quote is not closed\nfd.name = \"a\n          ^"},
		{`fd.name = "\q"`, "1:12: unknown escape \\q: use \\\\ for a backslash; known are \\b \\f \\n \\r \\t \\/ \\xHH and \\\"\nfd.name = \"\\q\"\n           ^"},
		{`fd.name = "\x00"`, "1:12: a value cannot contain a NUL byte\nfd.name = \"\\x00\"\n           ^"},
		{"up(proc.name) = a", "1:1: unknown transformer 'up': known are tolower, toupper, b64, basename, len, join, concat, getopt\nup(proc.name) = a\n^"},
		{"val(proc.name) = a", "1:1: val() is only allowed on the right side of a comparison\nval(proc.name) = a\n^"},
		{"proc.aname[ = 1", "1:12: the argument of proc.aname is missing\nproc.aname[ = 1\n           ^"},
		{"proc.aname[1 = 1", "1:13: unexpected ' ': expecting ']' after the argument of proc.aname\nproc.aname[1 = 1\n            ^"},
		{"é.x = 1", "1:1: unexpected 'é.x': expecting a field, a macro or '('\né.x = 1\n^"},
		{"proc.name = é and\tx y", "1:21: unexpected 'y': expecting 'and', 'or' or the end of the condition\nproc.name = é and x y\n                    ^"},
	} {
		_, err := syntax.Parse(tc.in)
		var se *syntax.Error
		require.ErrorAs(t, err, &se, tc.in)
		require.Equal(t, tc.want, se.Error()+"\n"+se.Snippet(), tc.in)
	}
}

func TestDepthIsBounded(t *testing.T) {
	nested := func(n int) string { return strings.Repeat("(", n) + "a" + strings.Repeat(")", n) }
	_, err := syntax.Parse(nested(syntax.MaxDepth))
	require.NoError(t, err)
	for _, text := range []string{
		nested(10_000),
		strings.Repeat("not(", 10_000) + "a",
		strings.Repeat("tolower(", 10_000) + "proc.name",
		"proc.name = " + strings.Repeat("tolower(", 10_000),
		"len(join(',', " + strings.Repeat("(", 10_000),
	} {
		_, err = syntax.Parse(text)
		require.ErrorContains(t, err, "nested deeper than 1000 levels")
	}
	_, err = syntax.Parse(strings.Repeat("not ", 100_001) + "a")
	require.NoError(t, err, "a row of 'not' is no nesting")
}

func TestParseIsLinear(t *testing.T) {
	// One line of 4 MB: anything quadratic takes minutes.
	text := "proc.name in (a" + strings.Repeat(", abcdefgh", 400_000) + ") and " + strings.Repeat("proc.name = x or ", 10_000) + "a"
	start := time.Now()
	_, err := syntax.Parse(text)
	require.NoError(t, err)
	require.Less(t, time.Since(start), 20*time.Second)
}

func TestSnippetCutsLongLinesAndHidesControls(t *testing.T) {
	text := strings.Repeat("x", 5000) + "\x1b[2J!" + strings.Repeat("y", 5000)
	got := syntax.Snippet(text, syntax.PosAt(text, 5004))
	lines := strings.Split(got, "\n")
	require.Len(t, lines, 2)
	require.Less(t, len([]rune(lines[0])), 130)
	require.NotContains(t, got, "\x1b")
	require.Equal(t, '!', []rune(lines[0])[strings.IndexByte(lines[1], '^')])
}

func TestNearest(t *testing.T) {
	names := []string{"proc.name", "proc.pname", "fd.name", "evt.type"}
	require.Equal(t, "proc.name", syntax.Nearest("prco.name", names))
	require.Equal(t, "evt.type", syntax.Nearest("evt.typ", names))
	require.Empty(t, syntax.Nearest("container.image", names))
	require.Empty(t, syntax.Nearest(strings.Repeat("x", 1<<20), names))
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"evt.type in (execve, execveat) and proc.name in (sh, bash) and not (proc.pname exists or container.id = host)",
		`fd.name glob "/etc/*" or proc.args contains 'a\'b\x41' and proc.aname[2] startswith anyof (a, "b c")`,
		"tolower(concat(proc.name, ',')) = val(proc.exe)", "fd.num >= -0x10", "not(not a)", "((a)", "in in in", "a.b in(c)or d",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := syntax.Parse(s)
		if err != nil {
			var se *syntax.Error
			if !errors.As(err, &se) || se.Pos.Offset > len(s) {
				t.Fatalf("error without a place: %v", err)
			}
			_ = se.Snippet()
			return
		}
		again, err := syntax.Parse(n.String())
		if err != nil {
			t.Fatalf("printed as %q: %v", n.String(), err)
		}
		if d := cmp.Diff(n, again, ignorePos); d != "" {
			t.Fatalf("printed as %q:\n%s", n.String(), d)
		}
	})
}

func ExampleParse() {
	_, err := syntax.Parse("proc.name in (sh, bash) and proc.tty ! 0")
	if se, ok := errors.AsType[*syntax.Error](err); ok {
		fmt.Println(se)
		fmt.Println(se.Snippet())
	}
	// Output:
	// 1:38: unexpected '!': expecting an operator after proc.tty, such as =, in, contains, startswith or exists
	// proc.name in (sh, bash) and proc.tty ! 0
	//                                      ^
}
