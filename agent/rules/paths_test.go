package rules

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

// words are what the paths and conditions below are made of.
var words = []string{"etc", "shadow", "home", "a", "b.d", "id_rsa", ".ssh", "var", "log", "x*y", "ab"}

func somePath(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString("/" + words[r.IntN(len(words))])
	}
	return b.String()
}

// someValue is a path, a part of one, or a pattern.
func someValue(r *rand.Rand) string {
	p := somePath(r)
	switch r.IntN(5) {
	case 0:
		return p[:1+r.IntN(len(p))]
	case 1:
		return p[r.IntN(len(p)):]
	case 2:
		return words[r.IntN(len(words))]
	case 3:
		return strings.Replace(p, "a", "*", 1)
	}
	return p
}

func someCheck(r *rand.Rand) string {
	quoted := func() string { return `"` + someValue(r) + `"` }
	name := []string{"fd.name", "fd.name", "fd.directory", "fd.filename", "fd.nameraw"}[r.IntN(5)]
	switch r.IntN(12) {
	case 0:
		return "evt.is_open_write = " + []string{"true", "false"}[r.IntN(2)]
	case 1:
		return "evt.is_open_read = true"
	case 2:
		return "proc.name = " + []string{"cat", "sh"}[r.IntN(2)]
	case 3:
		return fmt.Sprintf("%s in (%s, %s)", name, quoted(), quoted())
	case 4:
		return fmt.Sprintf("%s pmatch (%s, %s)", name, quoted(), quoted())
	case 5:
		return fmt.Sprintf("%s startswith oneof (%s, %s)", name, quoted(), quoted())
	case 6:
		return fmt.Sprintf("toupper(%s) startswith %s", name, quoted())
	}
	op := []string{"=", "!=", "startswith", "endswith", "contains", "icontains", "glob", "iglob", "regex"}[r.IntN(9)]
	if op == "regex" {
		return fmt.Sprintf("%s regex %q", name, "/[a-z]+/.*")
	}
	return fmt.Sprintf("%s %s %s", name, op, quoted())
}

func someCondition(r *rand.Rand, depth int) string {
	if depth == 0 {
		return someCheck(r)
	}
	terms := make([]string, 2+r.IntN(2))
	for i := range terms {
		terms[i] = someCondition(r, depth-1)
		if r.IntN(3) == 0 {
			terms[i] = "not (" + terms[i] + ")"
		}
	}
	return "(" + strings.Join(terms, []string{" and ", " and ", " or "}[r.IntN(3)]) + ")"
}

// openOf is a file that was opened for reading under its own name.
func openOf(r *rand.Rand, path string) *event.Event {
	e := &event.Event{
		Type: []event.Type{event.Open, event.Openat, event.Openat2}[r.IntN(3)], Ret: 3,
		File: event.File{Kind: event.KindFile, Num: 3, NameRaw: path, Name: path, RealPath: path},
		Proc: &event.Process{Comm: []string{"cat", "sh"}[r.IntN(2)], Container: event.Host},
	}
	if r.IntN(4) == 0 {
		e.File.Kind = event.KindDirectory
	}
	return e
}

// TestPathsHoldForWhatMatches: an open that the kernel may leave out is one that no rule
// matches.
func TestPathsHoldForWhatMatches(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	known, left, matched := 0, 0, 0
	for range 4000 {
		var file strings.Builder
		for i := range 1 + r.IntN(3) {
			fmt.Fprintf(&file, "- rule: R%d\n  desc: d\n  condition: evt.type in (open, openat, openat2) and %s\n  output: o\n  priority: INFO\n", i, someCondition(r, 1+r.IntN(2)))
		}
		set, err := Load(File{"f", []byte(file.String())})
		require.NoError(t, err, file.String())
		paths := set.Paths()
		if len(paths.Types) > 0 {
			known++
		}
		for range 40 {
			path := somePath(r)
			e := openOf(r, path)
			fired := ""
			set.Match(e, func(rule *Rule) { fired = rule.Name })
			if fired != "" {
				matched++
			}
			for _, typ := range paths.Types {
				if typ == e.Type && !paths.Has(path) {
					left++
					require.Empty(t, fired, "%s by %v:\n%s", path, paths, file.String())
				}
			}
		}
	}
	t.Logf("of 4000 sets %d have paths; %d opens left out, %d matched", known, left, matched)
	require.Greater(t, known, 400)
	require.Greater(t, left, 4000)
	require.Greater(t, matched, 4000)
}

// TestPathsOfTheStableRules: a web server's pages need not be told.
func TestPathsOfTheStableRules(t *testing.T) {
	dir := os.Getenv("RIPOSTE_FALCO_RULES")
	if dir == "" {
		t.Skip("RIPOSTE_FALCO_RULES does not name the folder of Falco's official rule files")
	}
	b, err := os.ReadFile(filepath.Join(dir, "falco_rules.yaml"))
	require.NoError(t, err)
	set, err := Load(File{"falco_rules.yaml", b})
	require.NoError(t, err)
	paths := set.Paths()
	require.Equal(t, []event.Type{event.Open, event.Openat, event.Openat2}, paths.Types)
	for path, want := range map[string]bool{
		"/etc/shadow": true, "/etc/pam.d/sshd": true, "/home/a/.ssh/id": true, "/root/.ssh/key": true, "/srv/id_rsa": true,
		"/usr/share/nginx/html/page.html": false, "/usr/lib/x86_64/libc.so.6": false, "/proc/self/maps": false,
	} {
		require.Equal(t, want, paths.Has(path), path)
	}
}

func TestPathsAreBounded(t *testing.T) {
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, ", /dir/%04d", i)
	}
	set, err := Load(File{"f", []byte("- rule: R\n  desc: d\n  condition: evt.type = open and fd.name in (/a" + many.String() + ")\n  output: o\n  priority: INFO\n")})
	require.NoError(t, err)
	require.Equal(t, event.Paths{}, set.Paths())
}

// TestPathsOfTangledMacros: each stands in the next one twice.
func TestPathsOfTangledMacros(t *testing.T) {
	var file strings.Builder
	file.WriteString("- macro: m0\n  condition: fd.name startswith /dir/0\n")
	for i := 1; i < 14; i++ {
		fmt.Fprintf(&file, "- macro: m%d\n  condition: (m%d and fd.num = %d) or (m%d and proc.name = x%d) or fd.name = /dir/%d\n", i, i-1, i, i-1, i, i)
	}
	file.WriteString("- rule: R\n  desc: d\n  condition: evt.type = open and m13\n  output: o\n  priority: INFO\n")
	set, err := Load(File{"f", []byte(file.String())})
	require.NoError(t, err)
	require.LessOrEqual(t, len(set.Paths().Prefixes), 60) // and it ends
}
