package bpf

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/stretchr/testify/require"
)

func TestVerifier(t *testing.T) {
	require.NoError(t, rlimit.RemoveMemlock())
	for name, load := range map[string]func() (*ebpf.CollectionSpec, error){"syscall": LoadSyscall, "process": LoadProcess} {
		spec, err := load()
		require.NoError(t, err)
		for prog := range spec.Programs {
			if !strings.HasSuffix(prog, "_typed") && !strings.HasSuffix(prog, "_raw") {
				continue
			}
			t.Run(name+"/"+prog, func(t *testing.T) {
				one := spec.Copy()
				for other := range one.Programs {
					if other != prog {
						delete(one.Programs, other)
					}
				}
				coll, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats}})
				var ve *ebpf.VerifierError
				if errors.As(err, &ve) {
					t.Fatalf("%+v", ve)
				}
				require.NoError(t, err)
				t.Log(coll.Programs[prog].VerifierLog)
				coll.Close()
			})
		}
	}
}
