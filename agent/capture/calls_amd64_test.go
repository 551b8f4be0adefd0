//go:build linux

package capture_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"riposte/agent/capture/int80"
)

// callsIn makes this test binary the program under watch: it makes the calls below in
// the folder that the variable names, and ends.
const callsIn = "RIPOSTE_TEST_CALLS_IN"

// everyCallIn makes it the one that makes every call that is captured.
const everyCallIn = "RIPOSTE_TEST_EVERY_CALL_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(everyCallIn); dir != "" {
		runtime.LockOSThread()
		makeCalls(dir)
		os.Exit(3)
	}
	if dir := os.Getenv(callsIn); dir != "" {
		runtime.LockOSThread()
		calls(dir)
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// must ends the program when a call did not do what the test wants to see.
func must(what string, got error, want error) {
	if !errors.Is(got, want) {
		fmt.Fprintf(os.Stderr, "%s: %v, want %v\n", what, got, want)
		os.Exit(9)
	}
}

func raw(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	_, _, errno := unix.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return errno
	}
	return nil
}

func cstr(s string) uintptr {
	b, err := unix.BytePtrFromString(s)
	must("text", err, nil)
	keep = append(keep, b)
	return uintptr(unsafe.Pointer(b))
}

// keep holds on to what the kernel is given as plain numbers.
var keep []*byte

const atCWD = ^uintptr(99) // AT_FDCWD

func calls(dir string) {
	opens(dir)
	connects(dir)
	execs(dir)
}

func opens(dir string) {
	file := filepath.Join(dir, "file")
	must("open", raw(unix.SYS_OPEN, cstr(file), unix.O_RDONLY|unix.O_CLOEXEC), nil)
	must("symlink", raw(unix.SYS_OPENAT, atCWD, cstr(filepath.Join(dir, "link")), unix.O_RDWR|unix.O_APPEND), nil)
	must("cwd", raw(unix.SYS_OPENAT, atCWD, cstr("sub/../file"), unix.O_RDONLY), nil)
	sub, err := unix.Open(filepath.Join(dir, "sub"), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must("directory", err, nil)
	must("dirfd", raw(unix.SYS_OPENAT, uintptr(sub), cstr("../file"), unix.O_WRONLY|unix.O_TRUNC), nil)
	must("created", raw(unix.SYS_OPENAT, atCWD, cstr(filepath.Join(dir, "new")), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY, 0o640), nil)
	must("creat", raw(unix.SYS_CREAT, cstr(filepath.Join(dir, "creat")), 0o600), nil)
	must("no entry", raw(unix.SYS_OPENAT, atCWD, cstr(filepath.Join(dir, "none")), unix.O_RDONLY), unix.ENOENT)
	_, err = unix.Openat2(unix.AT_FDCWD, filepath.Join(dir, "link"), &unix.OpenHow{Resolve: unix.RESOLVE_NO_SYMLINKS})
	must("openat2 fails", err, unix.ELOOP)
	_, err = unix.Openat2(sub, "../sub", &unix.OpenHow{Flags: unix.O_PATH})
	must("openat2", err, nil)
	must("magic link", raw(unix.SYS_OPENAT, atCWD, cstr("/proc/self/root"+file), unix.O_RDONLY), nil)
	memfd, err := unix.MemfdCreate("seen", 0)
	must("memfd", err, nil)
	must("memfd again", raw(unix.SYS_OPENAT, atCWD, cstr(fmt.Sprintf("/proc/self/fd/%d", memfd)), unix.O_RDONLY), nil)
	must("fifo", raw(unix.SYS_OPENAT, atCWD, cstr(filepath.Join(dir, "fifo")), unix.O_RDWR), nil)
	must("bad pointer", raw(unix.SYS_OPENAT, atCWD, 1, unix.O_RDONLY), unix.EFAULT)
	deep := strings.Repeat("d/", 150) + "file"
	must("deep", raw(unix.SYS_OPENAT, atCWD, cstr(filepath.Join(dir, deep)), unix.O_RDONLY), nil)

	low, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_32BIT)
	must("low memory", err, nil)
	copy(low, file)
	at := uint32(uintptr(unsafe.Pointer(&low[0])))
	if fd := int80.Call(5, at, unix.O_RDONLY, 0, 0, 0, 0); fd < 0 {
		must("int 0x80 open", unix.Errno(-fd), nil)
	}
	low[len(file)] = 'x'
	if got := int80.Call(295, ^uint32(99), at, unix.O_RDWR, 0, 0, 0); got != -int32(unix.ENOENT) {
		must("int 0x80 openat", unix.Errno(-got), unix.ENOENT)
	}
}

func connects(dir string) {
	socket := func(family, kind int) int {
		fd, err := unix.Socket(family, kind, 0)
		must("socket", err, nil)
		return fd
	}
	var v4, v6 int
	_, err := fmt.Sscanf(os.Getenv("PORTS"), "%d,%d", &v4, &v6)
	must("ports", err, nil)
	here4, here6 := [4]byte{127, 0, 0, 1}, [16]byte{15: 1}
	mapped := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	must("tcp4", unix.Connect(socket(unix.AF_INET, unix.SOCK_STREAM), &unix.SockaddrInet4{Port: v4, Addr: here4}), nil)
	must("tcp6", unix.Connect(socket(unix.AF_INET6, unix.SOCK_STREAM), &unix.SockaddrInet6{Port: v6, Addr: here6}), nil)
	must("mapped", unix.Connect(socket(unix.AF_INET6, unix.SOCK_STREAM), &unix.SockaddrInet6{Port: v4, Addr: mapped}), nil)
	must("udp", unix.Connect(socket(unix.AF_INET, unix.SOCK_DGRAM), &unix.SockaddrInet4{Port: 53, Addr: here4}), nil)
	must("refused", unix.Connect(socket(unix.AF_INET, unix.SOCK_STREAM), &unix.SockaddrInet4{Port: 1, Addr: here4}), unix.ECONNREFUSED)
	must("under way", unix.Connect(socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK), &unix.SockaddrInet4{Port: v4, Addr: here4}), unix.EINPROGRESS)
	must("unix", unix.Connect(socket(unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrUnix{Name: filepath.Join(dir, "sock")}), nil)
	must("unix link", unix.Connect(socket(unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrUnix{Name: filepath.Join(dir, "socklink")}), nil)
	must("no unix", unix.Connect(socket(unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrUnix{Name: filepath.Join(dir, "nosock")}), unix.ENOENT)
	must("abstract", unix.Connect(socket(unix.AF_UNIX, unix.SOCK_STREAM), &unix.SockaddrUnix{Name: "@riposte-none"}), unix.ECONNREFUSED)
	must("bad descriptor", unix.Connect(999, &unix.SockaddrInet4{Port: 80, Addr: here4}), unix.EBADF)
}

func execs(dir string) {
	none := filepath.Join(dir, "none")
	must("exec", unix.Exec(none, []string{"none", "-a", "b c"}, nil), unix.ENOENT)
	argv, err := syscall.SlicePtrFromStrings([]string{"at"})
	must("argv", err, nil)
	must("execveat", raw(unix.SYS_EXECVEAT, 999, cstr("x"), uintptr(unsafe.Pointer(&argv[0])), 0, 0), unix.EBADF)

	programs := [][]string{
		{filepath.Join(dir, "truelink"), "one", "two  words", ""},
		{"/bin/true", strings.Repeat("x", 5000)},
	}
	for _, name := range []string{"image", "dropped"} {
		path := filepath.Join(dir, "overlay", name)
		if err := raw(unix.SYS_OPENAT, atCWD, cstr(path), unix.O_RDONLY); err != nil {
			continue // there is no overlay
		}
		programs = append(programs, []string{path})
	}
	for _, argv := range programs {
		env := []string{"SEEN=1", "EMPTY=", "LONG=" + strings.Repeat("y", len(argv[len(argv)-1]))}
		p, err := os.StartProcess(argv[0], argv, &os.ProcAttr{Dir: filepath.Join(dir, "sub"), Env: env})
		must("start", err, nil)
		_, err = p.Wait()
		must("wait", err, nil)
	}
	binary, err := os.ReadFile("/bin/true")
	must("read", err, nil)
	memfd, err := unix.MemfdCreate("prog", 0)
	must("memfd", err, nil)
	_, err = unix.Write(memfd, binary)
	must("write", err, nil)
	p, err := os.StartProcess(fmt.Sprintf("/proc/self/fd/%d", memfd), []string{"prog"}, &os.ProcAttr{})
	must("memfd exec", err, nil)
	_, err = p.Wait()
	must("wait", err, nil)
}
