//go:build amd64

package bpf

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/stretchr/testify/require"
)

// TestLayouts compares each record as the C compiler laid it out with the Go type that
// decodes it: names, offsets and sizes. A stale generated file fails here, and so does
// hidden padding, which would send stale memory to user space.
func TestLayouts(t *testing.T) {
	syscall, err := LoadSyscall()
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		v    any
	}{
		{"wire_header", SyscallWireHeader{}},
		{"wire_call", SyscallWireCall{}},
		{"wire_object", SyscallWireObject{}},
		{"wire_file", SyscallWireFile{}},
		{"wire_socket", SyscallWireSocket{}},
		{"wire_state", SyscallWireState{}},
		{"wire_change", SyscallWireChange{}},
		{"wire_exec", SyscallWireExec{}},
		{"wire_fork", SyscallWireFork{}},
		{"wire_exit", SyscallWireExit{}},
		{"wire_cgroup", SyscallWireCgroup{}},
		{"wire_shape", SyscallWireShape{}},
		{"wire_interest", SyscallWireInterest{}},
		{"wire_prefix", SyscallWirePrefix{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in *btf.Struct
			require.NoError(t, syscall.Types.TypeByName(c.name, &in))
			compare(t, in, reflect.TypeOf(c.v))
		})
	}
}

func compare(t *testing.T, in *btf.Struct, out reflect.Type) {
	require.Equal(t, uintptr(in.Size), out.Size(), in.Name)
	end := uint32(0)
	i := 0
	for field := range fields(out) {
		require.Less(t, i, len(in.Members), "%s has more members than %s", out, in.Name)
		m := in.Members[i]
		i++
		require.Equal(t, strings.ReplaceAll(m.Name, "_", ""), strings.ToLower(field.Name))
		require.Equal(t, uintptr(m.Offset.Bytes()), field.Offset, m.Name)
		size, err := btf.Sizeof(m.Type)
		require.NoError(t, err)
		require.Equal(t, uintptr(size), field.Type.Size(), m.Name)
		require.Equal(t, end, m.Offset.Bytes(), "padding before %s.%s", in.Name, m.Name)
		end = m.Offset.Bytes() + uint32(size)
	}
	require.Len(t, in.Members, i)
	require.Equal(t, in.Size, end, "padding at the end of %s", in.Name)
}

// fields yields those that hold data; the marker of the host's layout is first.
func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for f := range t.Fields() {
			if f.Name != "_" && !yield(f) {
				return
			}
		}
	}
}

// TestObjectsAgree checks that all objects have the same maps, for they share them.
func TestObjectsAgree(t *testing.T) {
	first := map[string]*ebpf.MapSpec{}
	for _, load := range []func() (*ebpf.CollectionSpec, error){LoadSyscall, LoadFile, LoadSocket, LoadProcess, LoadUring} {
		spec, err := load()
		require.NoError(t, err)
		for name, b := range spec.Maps {
			if strings.HasPrefix(name, ".") { // an object's own variables
				continue
			}
			a, ok := first[name]
			if !ok {
				first[name] = b
				continue
			}
			require.Equal(t,
				[]any{a.Type, a.KeySize, a.ValueSize, a.MaxEntries, a.Flags},
				[]any{b.Type, b.KeySize, b.ValueSize, b.MaxEntries, b.Flags}, name)
		}
	}
	for _, name := range []string{SyscallMapEvents, SyscallMapLosses, SyscallMapScratches, SyscallMapShapes, SyscallMapHandlers} {
		require.Contains(t, first, name)
	}
}
