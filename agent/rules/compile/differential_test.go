package compile_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
	"riposte/agent/rules/compile"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// walk evaluates a tree as the language is defined, one node after the other: no
// folding, no sets, no shared macros. It is what compiled programs must equal.
func walk(n syntax.Node, macros map[string]syntax.Node, e *event.Event) bool {
	switch n := n.(type) {
	case *syntax.And:
		for _, t := range n.Terms {
			if !walk(t, macros, e) {
				return false
			}
		}
		return true
	case *syntax.Or:
		for _, t := range n.Terms {
			if walk(t, macros, e) {
				return true
			}
		}
		return false
	case *syntax.Not:
		return !walk(n.X, macros, e)
	case *syntax.Macro:
		return walk(macros[n.Name], macros, e)
	}
	c := n.(*syntax.Check)
	ref, err := field.Resolve(c.Left.(*syntax.Field))
	if err != nil {
		panic(err)
	}
	var values []string
	for i := 0; ; i++ {
		v := ref.Get(e, ref.Argument, i)
		if !v.OK {
			break
		}
		values = append(values, ref.Type.Format(v))
		if ref.Many == field.One || ref.Many == field.Any && ref.Argument.Set {
			break
		}
	}
	if len(values) == 0 {
		return false
	}
	if c.Op == syntax.Exists {
		return true
	}
	var want []string
	switch r := c.Right.(type) {
	case *syntax.Value:
		want = []string{r.Text}
	case *syntax.List:
		for _, item := range r.Items {
			want = append(want, item.(*syntax.Value).Text)
		}
	}
	if ref.Many == field.EitherEnd && c.Op == syntax.Ne {
		return !slices.ContainsFunc(values, func(v string) bool { return compare(ref.Type, v, syntax.Eq, want[0]) })
	}
	return slices.ContainsFunc(values, func(v string) bool {
		passed := 0
		for _, w := range want {
			op := c.Op
			if op == syntax.In || op == syntax.Intersects {
				op = syntax.Eq
			}
			if compare(ref.Type, v, op, w) {
				passed++
			}
		}
		switch c.Mod {
		case syntax.OneOf:
			return passed == 1
		case syntax.AllOf:
			return passed == len(want)
		}
		return passed > 0
	})
}

// compare works on printed values, so that it shares nothing with the compiler.
func compare(typ field.Type, v string, op syntax.Op, w string) bool {
	switch {
	case typ == field.Net:
		return netip.MustParsePrefix(w).Contains(netip.MustParseAddr(v)) == (op != syntax.Ne)
	case typ.Number():
		a, _ := strconv.ParseInt(v, 10, 64)
		b, _ := strconv.ParseInt(w, 10, 64)
		switch op {
		case syntax.Lt:
			return a < b
		case syntax.Le:
			return a <= b
		case syntax.Gt:
			return a > b
		case syntax.Ge:
			return a >= b
		}
	}
	switch op {
	case syntax.Eq, syntax.Eq2:
		return v == w
	case syntax.Ne:
		return v != w
	case syntax.Contains:
		return strings.Contains(v, w)
	case syntax.IContains:
		return strings.Contains(strings.ToLower(v), strings.ToLower(w))
	case syntax.StartsWith:
		return strings.HasPrefix(v, w)
	case syntax.EndsWith:
		return strings.HasSuffix(v, w)
	case syntax.PMatch:
		return v == path.Clean(w) || strings.HasPrefix(v, strings.TrimSuffix(path.Clean(w), "/")+"/")
	case syntax.Glob:
		// The generated patterns hold '*' at their ends alone.
		return strings.Contains(v, strings.Trim(w, "*"))
	}
	panic(fmt.Sprintf("%s on %s", op, typ))
}

var (
	textFields = []string{"proc.name", "proc.cmdline", "fd.name", "proc.aname", "proc.aname[2]", "proc.pname", "container.id", "user.name", "evt.arg.name", "evt.res", "fd.directory", "k8s.pod.name"}
	textValues = []string{"sh", "bash", "nginx", "/etc", "/etc/shadow", "host", "c", "SUCCESS", "ENOENT", "0123456789ab", "cart-1"}
	intFields  = []string{"fd.num", "proc.tty", "proc.pid", "evt.rawres", "user.uid", "proc.duration", "fd.port", "evt.num"}
	types      = []string{"open", "openat", "connect", "execve", "ptrace", "clone"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func several(r *rand.Rand, list []string) string {
	n := 1 + r.IntN(6)
	s := make([]string, n)
	for i := range s {
		s[i] = `"` + pick(r, list) + `"`
	}
	return "(" + strings.Join(s, ", ") + ")"
}

func expression(r *rand.Rand, depth int, macros []string) string {
	if depth > 0 && r.IntN(10) < 7 {
		switch r.IntN(5) {
		case 0:
			return "not (" + expression(r, depth-1, macros) + ")"
		default:
			terms := make([]string, 2+r.IntN(4))
			for i := range terms {
				terms[i] = "(" + expression(r, depth-1, macros) + ")"
			}
			return strings.Join(terms, pick(r, []string{" and ", " or "}))
		}
	}
	number := strconv.Itoa(pick(r, []int{-1, 0, 1, 2, 3, 101, 443, 4000, 34816}))
	switch r.IntN(11) {
	case 0:
		return "evt.type " + pick(r, []string{"=", "!="}) + " " + pick(r, types)
	case 1:
		return "evt.type in " + several(r, types)
	case 2:
		if f := pick(r, intFields); f != "fd.port" || !strings.HasPrefix(number, "-") {
			if f != "user.uid" && f != "proc.tty" && f != "evt.num" || !strings.HasPrefix(number, "-") {
				return f + " " + pick(r, []string{"=", "!=", "<", "<=", ">", ">="}) + " " + number
			}
		}
		return "fd.num exists"
	case 3:
		return pick(r, textFields) + " in " + several(r, textValues)
	case 4:
		return pick(r, textFields) + " exists"
	case 5:
		return pick(r, []string{"fd.net", "fd.snet"}) + " " + pick(r, []string{"=", "!="}) + " " + pick(r, []string{`"10.0.0.0/8"`, `"93.184.0.0/16"`, `"::/0"`})
	case 6:
		return pick(r, textFields) + " " + pick(r, []string{"startswith", "endswith", "contains", "=", "!="}) + " " + pick(r, []string{"anyof", "oneof", "allof"}) + " " + several(r, textValues)
	case 7:
		return "fd.name pmatch " + several(r, []string{"/etc", "/etc/shadow", "/", "/et", "/etc/"})
	case 8:
		if len(macros) > 0 {
			return pick(r, macros)
		}
	case 9:
		return pick(r, textFields) + ` glob "*` + pick(r, textValues) + `*"`
	}
	return pick(r, textFields) + " " + pick(r, []string{"=", "!=", "contains", "icontains", "startswith", "endswith"}) + ` "` + pick(r, textValues) + `"`
}

func someEvent(r *rand.Rand) *event.Event {
	e := aShell()
	if r.IntN(2) == 0 {
		e = aConnect()
	}
	e.Proc.Comm = pick(r, []string{"sh", "bash", "nginx"})
	if r.IntN(3) == 0 {
		e.Proc.Parent = nil
	}
	if r.IntN(3) == 0 {
		e.Proc.Container = event.Host
	}
	if r.IntN(4) == 0 {
		e.Ret, e.File.Num = -2, -1
	}
	if r.IntN(4) == 0 {
		e.File.Socket.Role = event.RoleUnknown
	}
	if r.IntN(5) == 0 {
		e.Type, e.File = event.Execve, event.File{}
	}
	e.Proc.StartKnown = r.IntN(2) == 0
	e.RealView = r.IntN(4) == 0
	e.File.RealPath = pick(r, []string{"/etc/shadow", "/proc/1/root/etc/shadow", ""})
	return e
}

// TestCompiledEqualsTreeWalk compares random conditions on random events. It also
// holds that a condition is false for every event type that was inferred away.
func TestCompiledEqualsTreeWalk(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	rounds := 1500
	if testing.Short() {
		rounds = 300
	}
	hits := 0
	for range rounds {
		var list []compile.Macro
		var names []string
		bodies := map[string]syntax.Node{}
		for i := range r.IntN(4) {
			n, err := syntax.Parse(expression(r, 2, names))
			require.NoError(t, err)
			name := "macro" + strconv.Itoa(i)
			names = append(names, name)
			bodies[name] = n
			list = append(list, compile.Macro{Name: name, Body: n, Index: i, Visibility: i})
		}
		condition := expression(r, 4, names)
		n, err := syntax.Parse(condition)
		require.NoError(t, err, condition)
		p, err := compile.New(list).Compile(n)
		require.NoError(t, err, condition)
		for range 20 {
			e := someEvent(r)
			want := walk(n, bodies, e)
			require.Equal(t, want, p.Match(e), "seed %d: %s", seed, condition)
			if want {
				hits++
				require.True(t, p.Types.Has(e.Type.String()), "seed %d: %s matches %s", seed, condition, e.Type)
			}
		}
	}
	require.Greater(t, hits, rounds, "the generated conditions hardly ever match")
}
