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
	process, err := LoadProcess()
	require.NoError(t, err)
	for _, c := range []struct {
		spec *ebpf.CollectionSpec
		name string
		v    any
	}{
		{syscall, "wire_header", SyscallWireHeader{}},
		{syscall, "wire_open", SyscallWireOpen{}},
		{syscall, "wire_connect", SyscallWireConnect{}},
		{process, "wire_header", ProcessWireHeader{}},
		{process, "wire_exec", ProcessWireExec{}},
		{process, "wire_fork", ProcessWireFork{}},
		{process, "wire_exit", ProcessWireExit{}},
		{process, "wire_cgroup", ProcessWireCgroup{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in *btf.Struct
			require.NoError(t, c.spec.Types.TypeByName(c.name, &in))
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

// TestObjectsAgree checks that both objects have the same header and maps, for they
// share the ring buffer.
func TestObjectsAgree(t *testing.T) {
	syscall, err := LoadSyscall()
	require.NoError(t, err)
	process, err := LoadProcess()
	require.NoError(t, err)
	require.Equal(t, reflect.TypeFor[SyscallWireHeader]().Size(), reflect.TypeFor[ProcessWireHeader]().Size())
	for _, name := range []string{SyscallMapEvents, SyscallMapLosses, SyscallMapScratches} {
		a, b := syscall.Maps[name], process.Maps[name]
		require.Equal(t,
			[]any{a.Type, a.KeySize, a.ValueSize, a.MaxEntries, a.Flags},
			[]any{b.Type, b.KeySize, b.ValueSize, b.MaxEntries, b.Flags}, name)
	}
}
