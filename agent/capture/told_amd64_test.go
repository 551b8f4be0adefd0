//go:build linux

package capture_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"riposte/agent/capture/int80"
	"riposte/agent/event"
)

// told is a call that the program has made, with all that it knows to be true of it.
type told struct {
	Type   string
	Compat bool
	Ret    int64
	TID    int
	// Args are all parameters as rules see them; File what is to be in the event's File,
	// and Change in its Change, each as text.
	Args, File, Change map[string]string
}

// want is a part of a told call.
type want = map[string]string

// caller makes calls by either table and tells what it did.
type caller struct {
	out    *json.Encoder
	dir    string
	compat bool
	low    []byte
	used   int
}

// no stands for a table in which a call has no number.
const no = -1

// newCaller has memory that 32-bit calls can reach.
func newCaller(dir string, out *json.Encoder) *caller {
	low, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_32BIT)
	must("low memory", err, nil)
	return &caller{out: out, dir: dir, low: low}
}

// put copies something to the low memory and gives its address.
func (c *caller) put(b []byte) uintptr {
	at := c.used
	c.used += (len(b) + 15) &^ 7
	copy(c.low[at:], b)
	return uintptr(unsafe.Pointer(&c.low[at]))
}

func (c *caller) str(s string) uintptr { return c.put(append([]byte(s), 0)) }

func (c *caller) in(name string) string { return c.dir + "/" + name }

// call makes the call and gives the kernel's result.
func (c *caller) call(nr64, nr32 int, args ...uintptr) int64 {
	var a [6]uintptr
	copy(a[:], args)
	if c.compat {
		return int64(int80.Call(uint32(nr32), uint32(a[0]), uint32(a[1]), uint32(a[2]), uint32(a[3]), uint32(a[4]), uint32(a[5])))
	}
	r, _, errno := unix.RawSyscall6(uintptr(nr64), a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return -int64(errno)
	}
	return int64(r)
}

// made makes a call that must end so: ok, or with an error. first is the name of its
// first parameter, which is the result.
func (c *caller) made(typ event.Type, nr64, nr32 int, end error, first string, args []uintptr, w told) int64 {
	if c.compat && nr32 == no || !c.compat && nr64 == no {
		return -1
	}
	ret := c.call(nr64, nr32, args...)
	var got error
	if ret < 0 {
		got = unix.Errno(-ret)
	}
	must(fmt.Sprintf("%s, 32 bit %v", typ, c.compat), got, end)
	c.tell(typ, ret, first, w)
	return ret
}

// tell tells of a call that was made.
func (c *caller) tell(typ event.Type, ret int64, first string, w told) {
	w.Type, w.Compat, w.Ret, w.TID = typ.String(), c.compat, ret, unix.Gettid()
	all := want{first: strconv.FormatInt(ret, 10)}
	if ret < 0 {
		all[first] = unix.ErrnoName(unix.Errno(-ret))
	}
	maps.Copy(all, w.Args)
	w.Args = all
	must("tell", c.out.Encode(w), nil)
}

func num[T ~int | ~int64 | ~uint32 | ~uint64 | ~uintptr](n T) string { return fmt.Sprint(n) }

// makeCalls is the program's part: every call, well and badly, by both tables.
func makeCalls(dir string) {
	f, err := os.Create(dir + "/told")
	must("told", err, nil)
	c := newCaller(dir, json.NewEncoder(f))
	for _, compat := range []bool{false, true} {
		c.compat = compat
		c.dir = dir + map[bool]string{false: "/wide", true: "/narrow"}[compat]
		must("mkdir", os.Mkdir(c.dir, 0o755), nil)
		must("chdir", os.Chdir(c.dir), nil)
		c.files()
		c.descriptors()
		c.sockets()
		c.processes()
		c.memory()
		if !compat {
			c.requests()
		}
	}
	for _, compat := range []bool{false, true} {
		c.compat = compat
		c.states()
	}
	c.roots(dir)
}
