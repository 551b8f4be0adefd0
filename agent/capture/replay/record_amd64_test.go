//go:build linux

package replay_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/capture"
	"riposte/agent/capture/replay"
	"riposte/agent/enrich"
	"riposte/agent/event"
)

var update = flag.Bool("update", false, "make drill.jsonl anew from this kernel's events")

// drillID is the container of the recording.
var drillID = hex.EncodeToString(bytes.Repeat([]byte{0xd1, 0x11}, 16))

// TestRecord runs a shell on a terminal in a container, records its events, and
// replays them. With -update the recording becomes the embedded one.
func TestRecord(t *testing.T) {
	src := open(t)
	table, err := enrich.New(enrich.Options{})
	require.NoError(t, err)
	require.NoError(t, table.Snapshot())
	var file bytes.Buffer
	rec := replay.Record(src, table, &file, func(e *event.Event) bool { return e.Proc.Container.ID == drillID })

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	ended := make(chan struct{})
	var first, last int32
	go func() {
		done <- rec.Run(ctx, func(e *event.Event) {
			table.Apply(e)
			if e.Proc.Container.ID != drillID {
				return
			}
			if first == 0 {
				first = e.Proc.PID
			}
			if last = e.Proc.PID; e.Type == event.ProcExit && last == first {
				close(ended)
			}
		})
	}()
	runDrill(t)
	select {
	case <-ended:
	case <-ctx.Done():
		t.Fatal("the shell's exit was not seen")
	}
	cancel()
	require.NoError(t, <-done)

	if *update {
		require.NoError(t, os.WriteFile("drill.jsonl", file.Bytes(), 0o644))
	}
	again, err := replay.Open(&file, replay.Options{Instant: true})
	require.NoError(t, err)
	checkDrill(t, again)
}

func open(t *testing.T) capture.Source {
	src, err := capture.Open(capture.Options{})
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs eBPF: ", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	return src
}

// runDrill starts a shell in its own namespaces and cgroup and types at it.
func runDrill(t *testing.T) {
	root, err := enrich.CgroupRoot()
	require.NoError(t, err)
	dir := filepath.Join(root, "riposte", drillID)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	t.Cleanup(func() {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
		require.Eventually(t, func() bool { return unix.Rmdir(dir) == nil }, 5*time.Second, 5*time.Millisecond)
		_ = unix.Rmdir(filepath.Dir(dir)) // stays when another sandbox is in it
	})
	cgroup, err := os.Open(dir)
	require.NoError(t, err)
	defer cgroup.Close()
	shell := exec.Command("/bin/sh")
	shell.Dir = "/"
	shell.Env = []string{"PATH=/usr/bin:/bin", "PS1=$ "}
	terminal, err := pty.StartWithAttrs(shell, nil, &syscall.SysProcAttr{
		Setsid: true, Setctty: true,
		UseCgroupFD: true, CgroupFD: int(cgroup.Fd()),
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	})
	require.NoError(t, err)
	defer terminal.Close()
	_, err = io.WriteString(terminal, "cat /etc/shadow >/dev/null\nexit\n")
	require.NoError(t, err)
	require.NoError(t, shell.Wait())
}

// checkDrill replays a drill and looks for what the default rules must see in it.
func checkDrill(t *testing.T, src *replay.Source) {
	table, err := enrich.New(enrich.Options{Recording: src.Recording()})
	require.NoError(t, err)
	require.NoError(t, table.Snapshot())
	var shell, read, exits int
	var before uint64
	require.NoError(t, src.Run(t.Context(), func(e *event.Event) {
		table.Apply(e)
		require.True(t, e.Recorded)
		if before != 0 {
			require.LessOrEqual(t, e.KernelNS, before+uint64(time.Second))
		}
		before = e.KernelNS
		require.WithinDuration(t, time.Now(), time.Unix(0, e.TimeNS), time.Minute)
		require.Equal(t, drillID, e.Proc.Container.ID)
		require.Equal(t, "/riposte/"+drillID, e.Proc.Container.Cgroup)
		require.NotZero(t, e.Proc.Container.CgroupID)
		switch {
		case e.Type == event.Execve && e.Ret == 0 && e.Proc.Comm == "sh":
			shell++
			require.NotZero(t, e.Proc.TTY)
			require.Nil(t, e.Proc.Parent)
		case e.Type == event.Openat && e.Name() == "/etc/shadow":
			read++
			require.Equal(t, "cat", e.Proc.Comm)
			require.Equal(t, "sh", e.Proc.Parent.Comm)
			require.Equal(t, "/etc/shadow", e.File.RealPath)
			require.GreaterOrEqual(t, e.Ret, int64(0))
		case e.Type == event.ProcExit:
			exits++
		}
	}))
	require.Equal(t, 1, shell)
	require.Equal(t, 1, read)
	require.Equal(t, 2, exits)
}

func TestDrill(t *testing.T) {
	src, err := replay.Drill(replay.Options{Instant: true})
	require.NoError(t, err)
	checkDrill(t, src)
}
