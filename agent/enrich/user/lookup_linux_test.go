package user_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/enrich/user"
	"riposte/agent/event"
)

const rootVariable = "RIPOSTE_TEST_ROOT"

// TestMain is, in a helper process, a program that goes into a root directory, says so
// and waits until its standard input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv(rootVariable); dir != "" {
		if err := errors.Join(unix.Chroot(dir), unix.Chdir("/")); err != nil {
			panic(err)
		}
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

func needRoot(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root")
		}
		t.Skip("needs root to look into another root directory")
	}
}

// box is a root directory with a process in it.
type box struct {
	dir string
	p   *event.Process
}

func newBox(t *testing.T) *box {
	needRoot(t)
	b := &box{dir: t.TempDir()}
	require.NoError(t, os.Mkdir(filepath.Join(b.dir, "etc"), 0o755))
	return b
}

// start starts the process.
func (b *box) start(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{rootVariable + "=" + b.dir}
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { stdin.Close(); _ = cmd.Wait() })
	ready := make([]byte, len("ready\n"))
	_, err = io.ReadFull(stdout, ready)
	require.NoError(t, err)
	b.p = &event.Process{PID: int32(cmd.Process.Pid), StartNS: startOf(t, cmd.Process.Pid), LoginUID: ^uint32(0)}
}

func startOf(t *testing.T, pid int) uint64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	n, err := strconv.ParseUint(f[19], 10, 64)
	require.NoError(t, err)
	return n * 10_000_000
}

func (b *box) write(t *testing.T, name, text string) {
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644))
}

// eventually waits for names: a busy machine may take longer than Names waits.
func eventually(t *testing.T, l *user.Lookup, container string, p *event.Process, want user.Names) {
	t.Helper()
	var got user.Names
	if !assertSoon(func() bool { got = l.Names(container, p); return got == want }) {
		require.Equal(t, want, got)
	}
}

func assertSoon(ok func() bool) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return false
}

func TestNamesOfAContainer(t *testing.T) {
	b := newBox(t)
	b.write(t, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nkeeper:x:1234:77:Keeper:/srv:/bin/keep\nsecond:x:1234:1::/:/\nbroken\n:x:5:5:::\n")
	b.write(t, "etc/group", "root:x:0:\nkeepers:x:77:a,b\nbad:x:y:\n")
	b.start(t)
	l := user.New(user.Options{})
	b.p.EUID, b.p.GID, b.p.LoginUID = 1234, 77, 0
	eventually(t, l, "box", b.p, user.Names{User: "keeper", Home: "/srv", Shell: "/bin/keep", Group: "keepers", LoginUser: "root"})

	other := *b.p
	other.EUID, other.GID, other.LoginUID = 9, 9, ^uint32(0)
	require.Equal(t, user.Names{}, l.Names("box", &other))

	t.Run("a user who comes later", func(t *testing.T) {
		b.write(t, "etc/passwd", "late:x:9:9::/home/late:/bin/sh\n")
		eventually(t, l, "box", &other, user.Names{User: "late", Home: "/home/late", Shell: "/bin/sh"})
	})
	t.Run("someone else's number", func(t *testing.T) {
		gone := *b.p
		gone.StartNS += 1e9
		fresh := user.New(user.Options{})
		require.Equal(t, user.Names{}, fresh.Names("box", &gone))
		require.Eventually(t, func() bool { return fresh.Counts()["users_unreadable"] > 0 }, 20*time.Second, time.Millisecond)
	})
}

func TestNamesOfTheHost(t *testing.T) {
	needRoot(t)
	me, err := osuser.LookupId("0")
	require.NoError(t, err)
	b := &event.Process{PID: 999999, EUID: 0, LoginUID: ^uint32(0)}
	var got user.Names
	l := user.New(user.Options{})
	require.True(t, assertSoon(func() bool { got = l.Names("", b); return got.User != "" }))
	require.Equal(t, me.Username, got.User)
}

// TestHostileLists: nothing of this is read, and nobody waits for it.
func TestHostileLists(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("stolen:x:0:0::/:/\n"), 0o600))
	for name, make := range map[string]func(t *testing.T, b *box, at string){
		"fifo": func(t *testing.T, _ *box, at string) { require.NoError(t, unix.Mkfifo(at, 0o666)) },
		"device": func(t *testing.T, _ *box, at string) {
			require.NoError(t, unix.Mknod(at, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
		},
		"folder": func(t *testing.T, _ *box, at string) { require.NoError(t, os.Mkdir(at, 0o755)) },
		"huge": func(t *testing.T, _ *box, at string) {
			require.NoError(t, os.WriteFile(at, []byte("big:x:0:0::/:/\n"), 0o600))
			require.NoError(t, os.Truncate(at, 1<<40))
		},
		"link out":   func(t *testing.T, _ *box, at string) { require.NoError(t, os.Symlink(outside, at)) },
		"dots out":   func(t *testing.T, _ *box, at string) { require.NoError(t, os.Symlink("../../../../../.."+outside, at)) },
		"link loop":  func(t *testing.T, _ *box, at string) { require.NoError(t, os.Symlink("passwd", at)) },
		"magic link": func(t *testing.T, _ *box, at string) { require.NoError(t, os.Symlink("/proc/1/root"+outside, at)) },
		"missing":    func(*testing.T, *box, string) {},
		"no text": func(t *testing.T, _ *box, at string) {
			require.NoError(t, os.WriteFile(at, []byte("\x00\xff:::\n\n:::::::\n"+strings.Repeat("a", 1<<20)), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			make(t, b, filepath.Join(b.dir, "etc", "passwd"))
			b.write(t, "etc/group", "root:x:0:\n")
			b.start(t)
			l := user.New(user.Options{})
			eventually(t, l, "box", b.p, user.Names{Group: "root"})
		})
	}
}

func TestLinkWithin(t *testing.T) {
	b := newBox(t)
	b.write(t, "users", "inside:x:0:0::/:/\n")
	require.NoError(t, os.Symlink("/../users", filepath.Join(b.dir, "etc", "passwd")))
	b.start(t)
	eventually(t, user.New(user.Options{}), "box", b.p, user.Names{User: "inside", Home: "/", Shell: "/"})
}

// hang mounts a file system that nobody serves over the box's lists, until the returned
// file is closed: then who reads gets an error.
func (b *box) hang(t *testing.T) (server *os.File) {
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs FUSE: ", err)
	}
	require.NoError(t, err)
	at := filepath.Join(b.dir, "etc")
	require.NoError(t, unix.Mount("hang", at, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse.Fd())))
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	return fuse
}

// The first question about a file system that hangs waits for a moment, later ones not at
// all, and another container has its names all the same.
func TestFileSystemThatHangs(t *testing.T) {
	b := newBox(t)
	b.start(t)
	fuse := b.hang(t)

	told := make(chan string, 1)
	l := user.New(user.Options{Changed: func(c string) { told <- c }})
	require.Equal(t, user.Names{}, l.Names("hangs", b.p))
	require.Equal(t, uint64(1), l.Counts()["users_late"])
	require.Equal(t, user.Names{}, l.Names("hangs", b.p))
	require.Equal(t, uint64(1), l.Counts()["users_late"], "it is asked for once")

	well := newBox(t)
	well.write(t, "etc/passwd", "root:x:0:0::/root:/bin/sh\n")
	well.start(t)
	require.Equal(t, user.Names{}, l.Names("well", well.p), "nobody waits while something hangs")
	require.Equal(t, "well", <-told)
	require.Equal(t, "root", l.Names("well", well.p).User)
	fuse.Close() // the readers get an error
	l.Close(t.Context())
}

// Who is told of lists may have no time yet. That keeps nobody from reading others, and
// Close waits for it.
func TestNobodyReadsLessBecauseNobodyListens(t *testing.T) {
	b, well := newBox(t), newBox(t)
	b.start(t)
	fuse := b.hang(t)
	well.write(t, "etc/passwd", "root:x:0:0::/root:/bin/sh\n")
	well.start(t)

	const containers = 40 // more than are read at once
	told, listen := make(chan string), make(chan struct{})
	var heard atomic.Int32
	l := user.New(user.Options{Changed: func(c string) { told <- c; <-listen; heard.Add(1) }})
	require.Equal(t, user.Names{}, l.Names("hangs", b.p))
	for i := range containers {
		name := strconv.Itoa(i)
		require.Equal(t, user.Names{}, l.Names(name, well.p), "nobody waits while something hangs")
		require.Equal(t, name, <-told)
	}
	require.Zero(t, l.Counts()["users_refused"])
	fuse.Close()
	closed := make(chan struct{})
	go func() { l.Close(context.Background()); close(closed) }()
	close(listen)
	<-closed
	require.EqualValues(t, containers, heard.Load())
}
