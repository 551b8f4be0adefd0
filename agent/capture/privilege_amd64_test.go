//go:build linux

package capture

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestMissingPrivileges(t *testing.T) {
	const bpf, perfmon = 1 << (unix.CAP_BPF - 32), 1 << (unix.CAP_PERFMON - 32)
	const ptrace, search, admin = 1 << unix.CAP_SYS_PTRACE, 1 << unix.CAP_DAC_READ_SEARCH, 1 << unix.CAP_SYS_ADMIN
	for name, c := range map[string]struct {
		lower, upper uint32
		want         []string
	}{
		"none":    {0, 0, []string{"CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}},
		"the two": {0, bpf | perfmon, []string{"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}},
		"admin":   {admin | ptrace, 0, []string{"CAP_DAC_READ_SEARCH"}},
		"one":     {ptrace | search, bpf, []string{"CAP_PERFMON"}},
		"all":     {ptrace | search, bpf | perfmon, nil},
	} {
		var got []string
		for _, p := range missing(c.lower, c.upper) {
			got = append(got, p.name)
			require.NotEmpty(t, p.without)
		}
		require.Equal(t, c.want, got, name)
	}
}
