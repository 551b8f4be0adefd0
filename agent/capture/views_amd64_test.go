//go:build linux

package capture_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/enrich"
	"riposte/agent/event"
	"riposte/agent/rules"
)

const (
	shadow    = "/etc/shadow"
	sensitive = "Read sensitive file untrusted"
)

// officialRules are Falco's own stable rules, unchanged; they are no part of this
// project.
func officialRules(t *testing.T) *rules.Ruleset {
	dir := os.Getenv("RIPOSTE_FALCO_RULES")
	if dir == "" {
		t.Skip("RIPOSTE_FALCO_RULES does not name the folder of Falco's official rule files")
	}
	content, err := os.ReadFile(filepath.Join(dir, "falco_rules.yaml"))
	require.NoError(t, err)
	set, err := rules.Options{MatchAll: true}.Load(rules.File{Name: "falco_rules.yaml", Content: content})
	require.NoError(t, err)
	return set
}

// alerts runs the source through the table and the rules, as the agent does: each event
// once with the name that was given and once with the file's own. It ends with an
// opening of the name `last`.
func alerts(t *testing.T, src capture.Source, set *rules.Ruleset, last string, see func(e *event.Event, fired bool)) {
	table, err := enrich.New(enrich.Options{})
	require.NoError(t, err)
	require.NoError(t, table.Snapshot())
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	require.NoError(t, src.Run(ctx, func(e *event.Event) {
		table.Apply(e)
		if e.Task.PID != int32(os.Getpid()) {
			return
		}
		fired := false
		fire := func(r *rules.Rule) { fired = fired || r.Name == sensitive }
		for _, real := range []bool{false, true} {
			if e.RealView = real; !real || e.NameDiffers() {
				set.Match(e, fire)
			}
		}
		e.RealView = false
		if e.File.NameRaw == last {
			cancel()
			return
		}
		see(e, fired)
	}))
	require.ErrorIs(t, ctx.Err(), context.Canceled, "the last call was not seen; lost: %v", src.Lost())
}

// TestEveryWayToAFile opens a sensitive file in each way that hides its name: the
// official rule, which knows only the name, must see every one.
func TestEveryWayToAFile(t *testing.T) {
	set := officialRules(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.Symlink(shadow, in("link")))
	require.NoError(t, os.Symlink("/etc", in("dirlink")))
	require.NoError(t, os.Mkdir(in("mount"), 0o700))
	require.NoError(t, unix.Mount("/etc", in("mount"), "", unix.MS_BIND, ""))
	defer func() { require.NoError(t, unix.Unmount(in("mount"), unix.MNT_DETACH)) }()
	require.NoError(t, os.WriteFile(in("file"), nil, 0o600))
	require.NoError(t, unix.Mount(shadow, in("file"), "", unix.MS_BIND, ""))
	defer func() { require.NoError(t, unix.Unmount(in("file"), unix.MNT_DETACH)) }()
	etc, err := unix.Open("/etc", unix.O_PATH|unix.O_DIRECTORY, 0)
	require.NoError(t, err)
	defer unix.Close(etc)

	src := open(t, capture.Options{OwnEvents: true, Types: set.Types()})
	c := newCaller(dir, json.NewEncoder(io.Discard))
	opened := map[string]int64{}
	way := func(name string, fd int64) {
		require.GreaterOrEqual(t, fd, int64(0), name)
		opened[name] = fd // stays open, so each has its own
	}
	at := uintptr(atCWD)
	for _, c.compat = range []bool{false, true} {
		bits := map[bool]string{false: " (64)", true: " (int 0x80)"}[c.compat]
		for name, path := range map[string]string{
			"plain": shadow, "symlink": in("link"), "symlink to the directory": in("dirlink/shadow"), "magic link": "/proc/self/root" + shadow,
			"bind mount": in("mount/shadow"), "bind mount of the file": in("file"), "dots": "/usr/share/../../etc/./shadow",
			"thread's root": "/proc/thread-self/root" + shadow, "its fd": "/proc/self/fd/" + num(etc) + "/shadow",
		} {
			way(name+bits, c.call(unix.SYS_OPENAT, 295, at, c.str(path), unix.O_RDONLY))
		}
		way("open"+bits, c.call(unix.SYS_OPEN, 5, c.str(in("link")), unix.O_RDONLY))
		way("dirfd"+bits, c.call(unix.SYS_OPENAT, 295, uintptr(etc), c.str("shadow"), unix.O_RDONLY))
		how := binary.LittleEndian.AppendUint64(nil, unix.O_RDONLY)
		way("openat2"+bits, c.call(unix.SYS_OPENAT2, 437, uintptr(etc), c.str("shadow"), c.put(append(how, make([]byte, 16)...)), 24))
	}
	r := c.newRing()
	defer unix.Close(r.fd)
	way("io_uring", r.submit(sqe{op: 18, fd: unix.AT_FDCWD, addr: uint64(c.str(in("link"))), opFlags: unix.O_RDONLY}))
	way("io_uring dirfd", r.submit(sqe{op: 18, fd: int32(etc), addr: uint64(c.str("shadow")), opFlags: unix.O_RDONLY}))
	last := in("the end")
	c.compat = false
	c.call(unix.SYS_OPENAT, no, at, c.str(last), unix.O_RDONLY)

	fired := map[int64]bool{}
	alerts(t, src, set, last, func(e *event.Event, alert bool) { fired[e.File.Num] = fired[e.File.Num] || alert })
	for name, fd := range opened {
		assert.True(t, fired[fd], name)
		require.NoError(t, unix.Close(int(fd)))
	}
	require.Len(t, opened, 2*12+2)
}

// TestRewrittenName has one thread open what a name says while another rewrites the
// name: whatever the argument says at the end, the file is seen.
func TestRewrittenName(t *testing.T) {
	set := officialRules(t)
	harmless := filepath.Join(t.TempDir(), "none")
	src := open(t, capture.Options{OwnEvents: true, RingBytes: 128 << 20, Types: []event.Type{event.Openat}})
	c := newCaller(t.TempDir(), json.NewEncoder(io.Discard))
	name := c.str(shadow + string(make([]byte, len(harmless))))
	text := c.low[:len(harmless)+1]
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		for n := 0; !stop.Load(); n++ {
			copy(text, []string{harmless, shadow}[n%2]+"\x00")
			for range 300 { // as long as a call or so
				stop.Load()
			}
		}
	}()
	// Until some calls have reached the file and ended under the other name.
	reached, swapped := 0, 0
	for tries := 0; swapped < 20; tries++ {
		require.Less(t, tries, 200_000, "no call was overtaken")
		fd := c.call(unix.SYS_OPENAT, no, atCWD, name, unix.O_RDONLY)
		now := text[0:5:5]
		if fd >= 0 {
			reached++
			if string(now) != shadow[:5] {
				swapped++
			}
			require.NoError(t, unix.Close(int(fd)))
		}
	}
	stop.Store(true)
	<-done
	last := filepath.Join(t.TempDir(), "the end")
	c.call(unix.SYS_OPENAT, no, atCWD, c.str(last), unix.O_RDONLY)

	seen, hidden := 0, 0
	alerts(t, src, set, last, func(e *event.Event, alert bool) {
		if e.Type != event.Openat || e.File.RealPath != shadow || e.Ret < 0 {
			return
		}
		require.True(t, alert, e.File.NameRaw)
		seen++
		if e.File.NameRaw != shadow {
			hidden++
		}
	})
	require.Zero(t, src.Lost()["ring_full"]+src.Lost()["shed"])
	require.Equal(t, reached, seen)
	t.Logf("%d opens reached the file, %d of them ended under another name", reached, hidden)
}
