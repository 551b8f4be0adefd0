//go:build amd64

package bpf

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// helpers are the programs that call one helper each, in the calling thread.
type helpers struct {
	t    *testing.T
	objs HelperObjects
}

func loadHelpers(t *testing.T) *helpers {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("loading BPF programs needs root")
		}
		t.Skip("loading BPF programs needs root")
	}
	require.NoError(t, rlimit.RemoveMemlock())
	h := &helpers{t: t}
	require.NoError(t, LoadHelperObjects(&h.objs, nil))
	t.Cleanup(func() { h.objs.Close() })
	return h
}

// run gives a program its numbers and returns what the helper did.
func (h *helpers) run(p *ebpf.Program, numbers ...uint64) (a HelperHelperAnswer) {
	h.t.Helper()
	runtime.LockOSThread() // the program looks at the thread's own memory and files
	defer runtime.UnlockOSThread()
	_, err := p.Run(&ebpf.RunOptions{Context: numbers})
	require.NoError(h.t, err)
	require.NoError(h.t, h.objs.Answers.Lookup(uint32(0), &a))
	return a
}

// lost counts what a place has lost on all CPUs.
func (h *helpers) lost(place SyscallWireLoss) (n uint64) {
	h.t.Helper()
	var each []uint64
	require.NoError(h.t, h.objs.Losses.Lookup(uint32(place), &each))
	for _, x := range each {
		n += x
	}
	return n
}

// at keeps bytes at one place while use runs.
func at(b []byte, use func(addr uint64)) {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&b[0])
	use(uint64(uintptr(unsafe.Pointer(&b[0]))))
}

func TestHelperText(t *testing.T) {
	h := loadHelpers(t)
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"some": {"/etc/shadow", 11}, "none": {"", 0}, "as long as fits": {strings.Repeat("x", 4095), 4095}, "longer": {strings.Repeat("y", 5000), 4095},
		"not text": {"a\n\x1b[0m\xff\xfe", 8},
	} {
		at(append([]byte(c.text), 0), func(addr uint64) {
			a := h.run(h.objs.HelperText, addr, 0)
			require.EqualValues(t, c.want, a.Ret, name)
			require.EqualValues(t, c.want, a.Used, name)
			require.Zero(t, a.Marks, name)
			require.Equal(t, c.text[:c.want], string(a.Text[:c.want]), name)

			a = h.run(h.objs.HelperText, addr, 100)
			require.EqualValues(t, 100+c.want, a.Used, name+" behind others")
			require.Equal(t, c.text[:c.want], string(a.Text[100:100+c.want]), name)
		})
	}
	before := h.lost(SyscallWireLossLOSS_ARGUMENT)
	a := h.run(h.objs.HelperText, 8, 50)
	require.Zero(t, a.Ret)
	require.EqualValues(t, 50, a.Used)
	require.EqualValues(t, SyscallWireMarkMARK_NAME_LOST, a.Marks)
	require.Equal(t, before+1, h.lost(SyscallWireLossLOSS_ARGUMENT))
}

func TestHelperBytes(t *testing.T) {
	h := loadHelpers(t)
	data := make([]byte, 400)
	for i := range data {
		data[i] = byte(i)
	}
	at(data, func(addr uint64) {
		for n, want := range map[uint64]int{0: 0, 1: 1, 80: 80, 255: 255, 256: 255, 400: 255, 1 << 40: 255} {
			a := h.run(h.objs.HelperBytes, addr, n)
			require.EqualValues(t, want, a.Ret, n)
			require.Equal(t, data[:want], a.Text[:want], n)
		}
	})
	before := h.lost(SyscallWireLossLOSS_ARGUMENT)
	require.Zero(t, h.run(h.objs.HelperBytes, 0, 10).Ret)
	require.Equal(t, before, h.lost(SyscallWireLossLOSS_ARGUMENT), "no address is no loss")
	require.Zero(t, h.run(h.objs.HelperBytes, 8, 10).Ret)
	require.Equal(t, before+1, h.lost(SyscallWireLossLOSS_ARGUMENT))
}

func TestHelperPieces(t *testing.T) {
	h := loadHelpers(t)
	texts := []byte("onetwothree" + strings.Repeat("z", 200))
	at(texts, func(addr uint64) {
		vector := []uint64{addr, 3, 0, 0, addr + 3, 3, addr + 6, 5, addr + 11, 200}
		raw := unsafe.Slice((*byte)(unsafe.Pointer(&vector[0])), len(vector)*8)
		at(raw, func(pieces uint64) {
			for _, c := range []struct {
				count, most uint64
				want        string
				all         uint64
			}{
				{5, 80, "onetwothree" + strings.Repeat("z", 69), 211},
				{4, 80, "onetwothree", 11},
				{3, 4, "onet", 6},
				{0, 80, "", 0},
				{5, 1 << 30, "onetwothree" + strings.Repeat("z", 69), 211},
			} {
				a := h.run(h.objs.HelperPieces, pieces, c.count, c.most)
				require.Equal(t, c.all, a.Ret, c)
				require.Equal(t, c.want, string(a.Text[:a.Used]), c)
			}
		})
	})
}

func TestHelperPath(t *testing.T) {
	h := loadHelpers(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	file := filepath.Join(dir, "a file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Symlink(file, filepath.Join(dir, "link")))
	path := func(name string) (string, uint32) {
		f, err := os.Open(name)
		require.NoError(t, err)
		defer f.Close()
		a := h.run(h.objs.HelperPath, uint64(f.Fd()))
		require.Equal(t, a.Ret, uint64(a.Used))
		return string(a.Text[:a.Ret]), a.Marks
	}
	for name, want := range map[string]string{file: file, filepath.Join(dir, "link"): file, dir: dir, dir + "/../" + filepath.Base(dir): dir, "/": "/", "/proc/self/root/dev/null": "/dev/null"} {
		got, marks := path(name)
		require.Equal(t, want, got, name)
		require.Zero(t, marks&uint32(SyscallWireMarkMARK_PATH_CUT|SyscallWireMarkMARK_MEMFD), name)
	}

	deep := dir
	for range 90 {
		deep = filepath.Join(deep, "d")
	}
	require.NoError(t, os.MkdirAll(deep, 0o700))
	got, marks := path(deep)
	if strings.Count(deep, "/") < 96 {
		require.Equal(t, deep, got)
		require.Zero(t, marks&uint32(SyscallWireMarkMARK_PATH_CUT))
	}
	deeper := deep
	for range 60 {
		deeper = filepath.Join(deeper, "e")
	}
	require.NoError(t, os.MkdirAll(deeper, 0o700))
	before := h.lost(SyscallWireLossLOSS_PATH_CUT)
	got, marks = path(deeper)
	require.NotZero(t, marks&uint32(SyscallWireMarkMARK_PATH_CUT), "a plain raw tracepoint walks 96 steps")
	require.True(t, strings.HasSuffix(deeper, got), "what is left is the end of the path")
	require.Equal(t, before+1, h.lost(SyscallWireLossLOSS_PATH_CUT))

	fd, err := unix.MemfdCreate("secret", 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	a := h.run(h.objs.HelperPath, uint64(fd))
	require.Equal(t, "/memfd:secret", string(a.Text[:a.Ret]))
	require.NotZero(t, a.Marks&uint32(SyscallWireMarkMARK_MEMFD))

	gone, err := os.Create(filepath.Join(dir, "gone"))
	require.NoError(t, err)
	defer gone.Close()
	require.NoError(t, os.Remove(gone.Name()))
	a = h.run(h.objs.HelperPath, uint64(gone.Fd()))
	require.Equal(t, gone.Name(), string(a.Text[:a.Ret]))
	require.NotZero(t, a.Marks&uint32(SyscallWireMarkMARK_UNLINKED))

	a = h.run(h.objs.HelperPath, 9999)
	require.EqualValues(t, SyscallWireMarkMARK_FILE_LOST, a.Marks)
	a = h.run(h.objs.HelperPath, ^uint64(0))
	require.EqualValues(t, SyscallWireMarkMARK_FILE_LOST, a.Marks)
}
