package compile_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/rules/compile"
	"riposte/agent/rules/syntax"
)

func macros(t testing.TB, pairs ...string) (list []compile.Macro) {
	for i := 0; i < len(pairs); i += 2 {
		n, err := syntax.Parse(pairs[i+1])
		require.NoError(t, err)
		list = append(list, compile.Macro{Name: pairs[i], Body: n, Index: i, Visibility: i})
	}
	return list
}

func TestMacros(t *testing.T) {
	shell := macros(t, "shell", "proc.name in (sh, bash)", "rooted", "user.uid = 0 and shell", "never", "evt.num = 0", "bad", "proc.nme = x")
	c := compile.New(shell)
	n, err := syntax.Parse("evt.type = openat and rooted and not never")
	require.NoError(t, err)
	p, err := c.Compile(n)
	require.NoError(t, err)
	require.True(t, p.Match(aShell()))
	require.Equal(t, 4, p.Checks)
	require.True(t, c.Used("shell"))
	require.False(t, c.Used("bad"))

	n, err = syntax.Parse("rooted and bad")
	require.NoError(t, err)
	_, err = c.Compile(n)
	require.EqualError(t, err, "macro bad: 1:1: unknown field proc.nme: did you mean proc.name?")

	n, err = syntax.Parse("shel")
	require.NoError(t, err)
	_, err = c.Compile(n)
	require.EqualError(t, err, "1:1: undefined macro shel: did you mean shell?")
}

func TestMacroLoopsAndBombsEnd(t *testing.T) {
	loop := macros(t, "a", "b", "b", "c or a", "c", "a and proc.name = x")
	for i := range loop {
		loop[i].Visibility = 100
	}
	_, err := compile.New(loop).Compile(loop[0].Body)
	require.ErrorContains(t, err, "macro b refers to itself: b -> c -> a -> b")

	// Each macro doubles the one before: 2^40 checks.
	bomb := []string{"m0", "proc.name = x"}
	name := func(i int) string { return "m" + strings.Repeat("x", i) }
	bomb[0] = name(0)
	for i := 1; i <= 40; i++ {
		bomb = append(bomb, name(i), name(i-1)+" or "+name(i-1))
	}
	list := macros(t, bomb...)
	_, err = compile.New(list).Compile(list[len(list)-1].Body)
	require.ErrorContains(t, err, "more than 100000 checks")

	chain := []string{name(0), "proc.name = x"}
	for i := 1; i <= 1100; i++ {
		chain = append(chain, name(i), "not "+name(i-1))
	}
	list = macros(t, chain...)
	_, err = compile.New(list).Compile(list[len(list)-1].Body)
	require.ErrorContains(t, err, "macros are nested deeper than 1000 levels")
}
