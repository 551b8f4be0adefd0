package user

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIDsOfAUserNamespace(t *testing.T) {
	t.Parallel()
	spans := parseMap("         0     100000      65536\n     70000       1000          1\n")
	for id, want := range map[uint32]int{100000: 0, 100033: 33, 165535: 65535, 1000: 70000, 165536: -1, 0: -1, 99999: -1} {
		got, ok := within(spans, id)
		require.Equal(t, want >= 0, ok, id)
		if ok {
			require.Equal(t, uint32(want), got)
		}
	}
	whole := parseMap("0 0 4294967295\n")
	got, ok := within(whole, 1234)
	require.True(t, ok)
	require.Equal(t, uint32(1234), got)
	require.Nil(t, parseMap("0 x 5"))
}

func FuzzParsePasswd(f *testing.F) {
	f.Add([]byte("root:x:0:0:root:/root:/bin/sh\nbroken\n"))
	f.Add([]byte(":::::::\n\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, a := range parsePasswd(b) {
			require.NotEmpty(t, a.name)
			require.LessOrEqual(t, len(a.name), maxText)
		}
		parseGroup(b)
		parseMap(string(b))
	})
}
