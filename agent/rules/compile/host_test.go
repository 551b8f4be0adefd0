package compile_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/rules/compile"
	"riposte/agent/rules/syntax"
)

func TestNamesOfAddresses(t *testing.T) {
	known := aConnect()
	known.Hosts = func(a netip.Addr) []string {
		if a == netip.MustParseAddr("93.184.216.34") {
			return []string{"one.example", "two.example"}
		}
		return nil
	}
	nameless := aConnect()
	nameless.Hosts = func(netip.Addr) []string { return nil }
	unasked, file := aConnect(), aShell()
	file.Hosts = known.Hosts
	for condition, want := range map[string][4]bool{ // known, nameless, nobody to ask, no socket
		"fd.sip.name = one.example":                   {true, false, false, false},
		"fd.sip.name = two.example":                   {true, false, false, false},
		"fd.rip.name = two.example":                   {true, false, false, false},
		"fd.cip.name = one.example":                   {false, false, false, false},
		"fd.lip.name = one.example":                   {false, false, false, false},
		"fd.sip.name != one.example":                  {false, true, true, false},
		"fd.sip.name != other.example":                {true, true, true, false},
		"fd.sip.name in (other.example, two.example)": {true, false, false, false},
		"not fd.sip.name in (two.example)":            {false, true, true, true},
		"fd.sip.name endswith .example":               {true, false, false, false},
		"fd.sip.name exists":                          {true, false, false, false},
	} {
		p := program(t, condition)
		got := [4]bool{p.Match(known), p.Match(nameless), p.Match(unasked), p.Match(file)}
		require.Equal(t, want, got, condition)
	}
}

func TestNamesThatRulesAskFor(t *testing.T) {
	c := compile.New(nil)
	for _, condition := range []string{"fd.sip.name = b.example", "not fd.rip.name in (c.example, a.example)", "fd.cip.name != a.example", "fd.name = d.example"} {
		n, err := syntax.Parse(condition)
		require.NoError(t, err)
		_, err = c.Compile(n)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"a.example", "b.example", "c.example"}, c.Hosts())
}
