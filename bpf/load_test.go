//go:build amd64

package bpf

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/stretchr/testify/require"
)

// instructionLimit is a quarter of what the kernel's verifier is willing to follow.
// Other versions follow more paths of the same program.
const instructionLimit = 250_000

// TestVerifier hands every program to the running kernel's verifier, one at a time.
func TestVerifier(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("loading BPF programs needs root")
		}
		t.Skip("loading BPF programs needs root")
	}
	require.NoError(t, rlimit.RemoveMemlock())
	for name, load := range map[string]func() (*ebpf.CollectionSpec, error){"syscall": LoadSyscall, "file": LoadFile, "socket": LoadSocket, "process": LoadProcess, "uring": LoadUring, "contain": LoadContain} {
		spec, err := load()
		require.NoError(t, err)
		for _, prog := range slices.Sorted(maps.Keys(spec.Programs)) {
			t.Run(name+"/"+prog, func(t *testing.T) {
				one := spec.Copy()
				maps.DeleteFunc(one.Programs, func(other string, _ *ebpf.ProgramSpec) bool { return other != prog })
				coll, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{
					Programs: ebpf.ProgramOptions{LogLevel: ebpf.LogLevelStats},
				})
				if rejected, ok := errors.AsType[*ebpf.VerifierError](err); ok {
					t.Fatalf("%+v", rejected)
				}
				require.NoError(t, err)
				defer coll.Close()
				info, err := coll.Programs[prog].Info()
				require.NoError(t, err)
				if n, ok := info.VerifiedInstructions(); ok {
					t.Logf("%d instructions followed", n)
					require.Less(t, n, uint32(instructionLimit))
				}
			})
		}
	}
}

// TestEveryHookHasBothKinds checks that the fallback for older kernels is complete.
func TestEveryHookHasBothKinds(t *testing.T) {
	for _, load := range []func() (*ebpf.CollectionSpec, error){LoadSyscall, LoadFile, LoadSocket, LoadProcess, LoadUring} {
		spec, err := load()
		require.NoError(t, err)
		for name, prog := range spec.Programs {
			base, typed := strings.CutSuffix(name, "_typed")
			if !typed {
				require.True(t, strings.HasSuffix(name, "_raw"), name)
				require.Equal(t, ebpf.RawTracepoint, prog.Type, name)
				continue
			}
			require.Contains(t, spec.Programs, base+"_raw")
			require.Equal(t, prog.AttachTo, spec.Programs[base+"_raw"].AttachTo)
		}
	}
}
