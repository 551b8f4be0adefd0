package rules_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/event"
	"riposte/agent/rules"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestErrors checks every file of testdata/errors: what is reported, where, and
// with what line below it.
func TestErrors(t *testing.T) {
	names, err := filepath.Glob("testdata/errors/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			rs, err := rules.Options{AllErrors: true}.Load(rules.File{Name: filepath.Base(name), Content: content})
			problems := rules.Errors(err)
			if err == nil {
				problems = rs.Warnings
			}
			var got bytes.Buffer
			for _, e := range problems {
				fmt.Fprintf(&got, "%s: %s\n%s\n", e.Code, e, e.Snippet)
			}
			golden := strings.TrimSuffix(name, ".yaml") + ".txt"
			if *update {
				require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got.String())
			require.NotEmpty(t, got.String())
		})
	}
}

func load(t testing.TB, contents ...string) *rules.Ruleset {
	t.Helper()
	rs, err := rules.Load(files(contents...)...)
	require.NoError(t, err)
	return rs
}

func files(contents ...string) (list []rules.File) {
	for i, c := range contents {
		list = append(list, rules.File{Name: fmt.Sprintf("%d.yaml", i), Content: []byte(c)})
	}
	return list
}

// rule is a rule item with the given condition and more keys.
func rule(name, condition string, more ...string) string {
	return fmt.Sprintf("- rule: %s\n  desc: d\n  condition: %s\n  output: x\n  priority: warning\n", name, condition) +
		strings.Join(append(more, ""), "\n")
}

func process(comm string) *event.Event {
	return &event.Event{Type: event.Execve, Proc: &event.Process{Comm: comm, Container: event.Host}}
}

// fired names the rule that an event fires, "" for none.
func fired(rs *rules.Ruleset, e *event.Event) (name string) {
	rs.Match(e, func(r *rules.Rule) { name = r.Name })
	return name
}

func TestFirstMatchWinsAndRedefinitionKeepsItsPlace(t *testing.T) {
	rs := load(t,
		rule("A", "evt.type=execve and proc.name=a")+rule("B", "evt.type=execve"),
		rule("C", "evt.type=execve")+rule("A", "evt.type=execve and proc.name=z"))
	require.Equal(t, "A", fired(rs, process("z")))
	require.Equal(t, "B", fired(rs, process("a")))
	require.Equal(t, 3, rs.Len())
	require.Equal(t, []event.Type{event.Execve}, rs.Types())
	require.Len(t, rs.Hash(), 64)
	require.NotEqual(t, rs.Hash(), load(t, rule("A", "evt.type=execve")).Hash())
}

func TestRuleHasWhatTheFileSays(t *testing.T) {
	rs := load(t, `
- rule: A
  desc: " what it is "
  condition: evt.type = open
  output: " out "
  priority: INFO
  tags: [b, a, b]
  source: syscall
`+rule("Off", "evt.type=execve", "  enabled: false"))
	a := rs.Rules()[0]
	require.Equal(t, "what it is", a.Desc)
	require.Equal(t, "out", a.Output)
	require.Equal(t, alert.Informational, a.Priority)
	require.Equal(t, []string{"a", "b"}, a.Tags)
	require.Equal(t, []string{"open"}, a.EventTypes)
	require.Equal(t, 2, a.Line)
	require.Equal(t, 1, rs.Len())
	require.Len(t, rs.Rules(), 2)
	require.Empty(t, fired(rs, process("x")), "a disabled rule does not fire")
}

func TestLists(t *testing.T) {
	base := `
- list: inner
  items: [one, two]
- list: outer
  items: [inner, three, "with blank", '"quoted one"', 4]
- list: empty
  items: []
`
	for name, tc := range map[string]struct {
		condition string
		yes, no   []string
	}{
		"in":               {"proc.name in (outer)", []string{"one", "two", "three", "with blank", "quoted one", "4"}, []string{"inner", "outer"}},
		"among others":     {"proc.name in (a,outer , b)", []string{"a", "one", "b"}, []string{"outer"}},
		"empty alone":      {"not proc.name in (empty)", []string{"x", "empty"}, nil},
		"empty first":      {"proc.name in (empty, a)", []string{"a"}, []string{"empty"}},
		"empty last":       {"proc.name in (a, empty)", []string{"a"}, []string{"empty"}},
		"empty in between": {"proc.name in (a, empty, b)", []string{"a", "b"}, []string{"empty"}},
		"all empty":        {"proc.name in (empty, empty) or proc.name = x", []string{"x"}, []string{"empty"}},
		"no part of words": {"proc.name in (xinner, innerx, inner-x)", []string{"xinner", "innerx", "inner-x"}, []string{"one"}},
		"not quoted":       {`proc.name in ("inner")`, []string{"inner"}, []string{"one"}},
		"inside a quote":   {`proc.name = "a inner b"`, []string{"a one, two b"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rs := load(t, base+rule("R", "evt.type=execve and ("+tc.condition+")"))
			for _, comm := range tc.yes {
				require.Equal(t, "R", fired(rs, process(comm)), comm)
			}
			for _, comm := range tc.no {
				require.Empty(t, fired(rs, process(comm)), comm)
			}
		})
	}
}

func TestListsExpandOneLevelAndInOrder(t *testing.T) {
	// c names b, which names a: of b only its own words are taken, and a stands before.
	rs := load(t, "- list: a\n  items: [deep]\n- list: b\n  items: [a]\n- list: c\n  items: [b]\n"+rule("R", "evt.type=execve and proc.name in (c)"))
	require.Empty(t, fired(rs, process("deep")))
	require.Equal(t, "R", fired(rs, process("a")))
	// A list that is defined later is not seen by the item, but by the text.
	rs = load(t, "- list: a\n  items: [b]\n- list: b\n  items: [late]\n"+rule("R", "evt.type=execve and proc.name in (a)"))
	require.Equal(t, "R", fired(rs, process("late")))
}

func TestMacrosSeeWhatStandsAboveThem(t *testing.T) {
	rs := load(t, "- macro: m\n  condition: proc.name = a\n- macro: n\n  condition: m or proc.name = b\n"+rule("R", "evt.type=execve and n"), "- macro: m\n  condition: proc.name = z\n")
	require.Equal(t, "R", fired(rs, process("z")), "a later definition of a macro counts for all who use it")
	require.Empty(t, fired(rs, process("a")))
	_, err := rules.Load(files("- macro: n\n  condition: m\n- macro: m\n  condition: proc.name = a\n" + rule("R", "evt.type=execve and n"))...)
	require.ErrorContains(t, err, "undefined macro m")
}

func TestChanges(t *testing.T) {
	base := "- list: l\n  items: [a]\n- macro: m\n  condition: proc.name in (l)\n" + rule("R", "evt.type=execve and m", "  tags: [t]")
	for name, tc := range map[string]struct{ change, yes, no string }{
		"append to a list":     {"- list: l\n  items: [b]\n  override: {items: append}\n", "b", "c"},
		"replace a list":       {"- list: l\n  items: [b]\n  override: {items: replace}\n", "b", "a"},
		"redefine a list":      {"- list: l\n  items: [b]\n", "b", "a"},
		"legacy append":        {"- list: l\n  items: [b]\n  append: true\n", "b", "c"},
		"append to a macro":    {"- macro: m\n  condition: or proc.name = b\n  override: {condition: append}\n", "b", "c"},
		"append to a rule":     {"- rule: R\n  condition: or proc.name = b\n  override: {condition: append}\n", "b", "c"},
		"legacy rule append":   {"- rule: R\n  condition: and not proc.name = z\n  append: true\n", "a", "z"},
		"replace a condition":  {"- rule: R\n  condition: evt.type=execve and proc.name = b\n  priority: critical\n  override: {condition: replace, priority: replace}\n", "b", "a"},
		"disable":              {"- rule: R\n  enabled: false\n  override: {enabled: replace}\n", "", "a"},
		"disable as of old":    {"- rule: R\n  enabled: false\n", "", "a"},
		"exception":            {"- rule: R\n  exceptions:\n  - name: x\n    fields: [proc.name]\n    values: [[a]]\n  override: {exceptions: append}\n", "", "a"},
		"exception, one field": {"- rule: R\n  exceptions:\n  - name: x\n    fields: proc.name\n    values: [a, b]\n  append: true\n", "", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			rs := load(t, base, tc.change)
			if tc.yes != "" {
				require.Equal(t, "R", fired(rs, process(tc.yes)))
			}
			require.Empty(t, fired(rs, process(tc.no)))
		})
	}
}

func TestExceptions(t *testing.T) {
	rs := load(t, rule("R", "evt.type=execve or proc.name = never", `  exceptions:
  - name: pairs
    fields: [proc.name, proc.cmdline]
    comps: [in, startswith]
    values:
    - [[a, "b c"], a]
    - [solo, "solo -x"]
  - name: paths
    fields: proc.exepath
    comps: startswith anyof
    values: [/opt/, /srv/]
  - name: open
    fields: [proc.name, proc.tty]
`))
	e := process("b c")
	require.Equal(t, "R", fired(rs, e), "the second field differs")
	e = process("a")
	require.Empty(t, fired(rs, e))
	e = process("solo")
	require.Equal(t, "R", fired(rs, e))
	e.Proc.Args = []string{"-x"}
	require.Empty(t, fired(rs, e))
	e = process("x")
	e.Proc.ExePath = "/srv/x"
	require.Empty(t, fired(rs, e))
	e.Proc.ExePath = "/usr/x"
	require.Equal(t, "R", fired(rs, e))
}

func TestVersions(t *testing.T) {
	for version, ok := range map[string]bool{"26": true, "0.57.0": true, "0.63.0": true, "0.63.1": false, "99": false, "1.0.0": false, "x": false, "0.1": false} {
		_, err := rules.Load(files("- required_engine_version: " + version + "\n")...)
		require.Equal(t, ok, err == nil, version)
	}
	for versions, ok := range map[string]bool{
		"[{name: container, version: 0.4.0}]":                                                true,
		"[{name: container, version: 9.0.0}]":                                                false,
		"[{name: k8saudit, version: 0.4.0}]":                                                 false,
		"[{name: other, version: 1.0.0, alternatives: [{name: container, version: 0.4.0}]}]": true,
		"[{name: other, version: 1.0.0, alternatives: [{name: other, version: 0.4.0}]}]":     false,
		"[{name: container}]":                                                                false,
	} {
		_, err := rules.Load(files("- required_plugin_versions: " + versions + "\n")...)
		require.Equal(t, ok, err == nil, versions)
	}
}

func TestDocumentsAndNulls(t *testing.T) {
	rs := load(t, "---\n---\n- \n"+rule("A", "evt.type=execve and proc.name=a")+"---\n~\n---\n"+rule("B", "evt.type=execve"), "", "# nothing\n")
	require.Equal(t, 2, rs.Len())
}

func TestAnchors(t *testing.T) {
	rs := load(t, "- list: a\n  items: &i [x]\n- list: b\n  items: *i\n"+rule("R", "evt.type=execve and proc.name in (a, b)"))
	require.Equal(t, "R", fired(rs, process("x")))
}

func manyMacros(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "- {macro: m%d, condition: proc.name = a}\n", i)
	}
	return b.String()
}

// Hostile input ends with an error or a result, in bounded memory. In bounded time too:
// what grows with the square of these would not end before the run's own timeout.
func TestHostileInputEnds(t *testing.T) {
	many := strings.Repeat("x, ", 1_000_000)
	for name, tc := range map[string]struct{ content, want string }{
		"file too large":   {strings.Repeat("#", rules.MaxFileBytes+1), "more than 33554432"},
		"parentheses":      {rule("R", strings.Repeat("(", 10_000)+"proc.name=a"+strings.Repeat(")", 10_000)), "nested deeper than 1000 levels"},
		"macro loop":       {"- macro: a\n  condition: proc.name=x\n- macro: b\n  condition: a\n- macro: a\n  condition: or b\n  append: true\n" + rule("R", "a"), "refers to itself"},
		"bad UTF-8":        {"- rule: \xff\xfe\n", "YAML"},
		"binary":           {"\x00\x01\x02", "YAML"},
		"no list":          {"rule: x\n", "a rules file is a list of items"},
		"deep YAML":        {strings.Repeat("[", 100_000), "YAML"},
		"tab indentation":  {"- rule: x\n\tdesc: y\n", "YAML"},
		"million items":    {"- list: l\n  items: [" + many + "y]\n" + rule("R", "evt.type=execve and proc.name in (l)"), ""},
		"list of the list": {"- list: l\n  items: [" + strings.Repeat("aaaaaaaaaaaaaaaa, ", 60_000) + "y]\n" + rule("R", "evt.type=execve and proc.name in ("+strings.Repeat("l, ", 100)+"x)"), "bytes"},
		"empty lists":      {"- list: e\n  items: []\n" + rule("R", "evt.type=execve and proc.name in (x"+strings.Repeat(", e", 100_000)+")"), ""},
		"errors on a line": {"[" + strings.Repeat("{rule: x}, ", 150_000) + "]\n", "the rule has no"},
		"many warnings":    {"[" + strings.Repeat("{x: y}, ", 150_000) + "]\n", ""},
		"unused macros":    {manyMacros(100_000), ""},
		"empty condition":  {rule("R", `""`), "condition is empty"},
		"nothing left":     {"- list: e\n  items: []\n" + rule("R", "e"), "expecting a field"},
		"alias of aliases": {"- &a [x]\n- &b [*a, *a]\n- &c [*b, *b]\n", "an item is a mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rules.Load(files(tc.content)...)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.Less(t, len(err.Error()), 50_000)
		})
	}
}

func TestErrorsAreBounded(t *testing.T) {
	_, err := rules.Load(files(strings.Repeat("- rule: x\n", 5000))...)
	require.Len(t, rules.Errors(err), 1, "Falco reports a file's first error")
	_, err = rules.Options{AllErrors: true}.Load(files(strings.Repeat("- rule: x\n", 5000))...)
	require.Len(t, rules.Errors(err), rules.MaxErrors)
	require.ErrorContains(t, err, "more than 100 errors")
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("- list: l\n  items: [a, 'b c']\n- macro: m\n  condition: >\n    proc.name in (l)\n    and fd.num > 3\n" + rule("R", `"m and evt.type=open or \"x\" = 3"`)))
	f.Add([]byte(rule("R", "evt.type=execve", "  exceptions:\n  - {name: x, fields: [proc.name], comps: [in], values: [[[a, b]]]}")))
	f.Add([]byte("- rule: R\n  condition: and x\n  override: {condition: append}\n- &a {list: x, items: *a}\n"))
	f.Add([]byte("- required_plugin_versions: [{name: container, version: 0.4.0}]\n- required_engine_version: 3\n"))
	f.Add([]byte(rule("R", "|\n    evt.type=open and\n\n      proc.nme=3\n")))
	f.Fuzz(func(t *testing.T, content []byte) {
		rs, err := rules.Load(rules.File{Name: "f", Content: content})
		if err == nil {
			e := process("sh")
			rs.Match(e, func(r *rules.Rule) { r.Format(e) })
			return
		}
		if len(rules.Errors(err)) == 0 {
			t.Fatalf("an error without a place: %v", err)
		}
	})
}
