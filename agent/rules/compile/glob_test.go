package compile

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "a/b", true},
		{"?", "/", true},
		{"?", "", false},
		{"a*b*c", "aXbXbc", true},
		{"a*b*c", "aXbXb", false},
		{"/etc/*.conf", "/etc/x/y.conf", true},
		{"*.", ".hidden", false},
		{"*hidden", ".hidden", true},
		{"[a-c]x", "bx", true},
		{"[a-c]x", "dx", false},
		{"[!a-c]x", "dx", true},
		{"[^a-c]x", "dx", true},
		{"[]]", "]", true},
		{"[!]]", "]", false},
		{"[a-]", "-", true},
		{"[", "[", true},
		{"[a", "[a", true},
		{"[[:digit:]]", "5", true},
		{"[[:digit:]]", "x", false},
		{"[[:alpha:]_]*", "_x", true},
		{`[\]]`, "]", true},
		{`\*`, "*", true},
		{`\*`, "a", false},
		{`\`, `\`, true},
		{"a[b]c", "abc", true},
		{"é", "é", true},
		{"??", "é", true},
	} {
		require.Equal(t, tc.want, glob(tc.pattern, tc.s, false), "%q on %q", tc.pattern, tc.s)
	}
	require.True(t, glob("ETC/[A-C]*", "etc/Bx", true))
	require.True(t, glob("[[:upper:]]", "a", true))
	require.False(t, glob("ETC", "etc", false))
}

func TestGlobIsNotExponential(t *testing.T) {
	require.False(t, glob(strings.Repeat("a*", 500)+"b", strings.Repeat("a", 5000), false))
}
