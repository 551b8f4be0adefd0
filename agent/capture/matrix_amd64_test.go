//go:build linux

package capture_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture"
	"riposte/agent/event"
)

// TestEveryCall compares every parameter of every call with what the program knows
// that made it, by both tables of calls and with both kinds of programs.
func TestEveryCall(t *testing.T) {
	for _, raw := range []bool{false, true} {
		t.Run(fmt.Sprintf("raw=%v", raw), func(t *testing.T) {
			dir := t.TempDir()
			src := open(t, capture.Options{Raw: raw, OwnEvents: true, RingBytes: 64 << 20})
			w := watchProgram(t, src, dir, everyCallIn+"="+dir, "GOGC=off", "GODEBUG=asyncpreemptoff=1")
			made := map[string]int{}
			at := map[string]int{}
			for _, c := range tellings(t, filepath.Join(dir, "told")) {
				end := "ok"
				if c.Ret < 0 {
					end = "failed"
				}
				key := fmt.Sprintf("%s/compat=%v/%s", c.Type, c.Compat, end)
				made[key]++
				t.Run(fmt.Sprintf("%s/%d", key, made[key]), func(t *testing.T) { check(t, w, c, at) })
			}
			complete(t, made)
			for _, place := range []string{"ring_full", "ring_full_state", "shed", "shed_low", "scratch_busy", "tail_call", "recursion", "undecodable", "file_gone"} {
				require.Zero(t, src.Lost()[place], place)
			}
			require.Equal(t, uint64(6), src.Lost()["messages_cut"], "one of each call that moves several")
		})
	}
}

func tellings(t *testing.T, name string) (all []told) {
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	d := json.NewDecoder(f)
	for {
		var c told
		if err := d.Decode(&c); errors.Is(err, io.EOF) {
			return all
		} else {
			require.NoError(t, err)
		}
		all = append(all, c)
	}
}

// check finds the call's event, behind the last one of its type, and compares it.
func check(t *testing.T, w *watched, c told, at map[string]int) {
	var first *event.Event
	for i := at[c.Type]; i < len(w.events); i++ {
		e := &w.events[i]
		if e.Task.PID != w.pid || int(e.Task.TID) != c.TID || e.Type.String() != c.Type || e.Compat != c.Compat || e.Ret != c.Ret {
			continue
		}
		if first == nil {
			first = e
		}
		if fits(c.Args, args(e)) {
			at[c.Type] = i + 1
			compare(t, c, e)
			return
		}
	}
	require.NotNil(t, first, "no event for %+v", c)
	compare(t, c, first)
}

func fits(want, got map[string]string) bool {
	for name, value := range want {
		if value != "*" && got[name] != value && !within(value, got[name]) {
			return false
		}
	}
	return len(want) == len(got)
}

// starred replaces the values that only the kernel knows, and those that are within
// what the program knows.
func starred(want, got map[string]string) map[string]string {
	all := map[string]string{}
	for name, value := range got {
		if want[name] == "*" && value != "" || within(want[name], value) {
			value = want[name]
		}
		all[name] = value
	}
	return all
}

// between says that a number is one of those from low to high.
func between(low, high int64) string { return fmt.Sprintf("%d..%d", low, high) }

func within(want, got string) bool {
	first, last, ok := strings.Cut(want, "..")
	low, err1 := strconv.ParseInt(first, 10, 64)
	high, err2 := strconv.ParseInt(last, 10, 64)
	n, err3 := strconv.ParseInt(got, 10, 64)
	return ok && errors.Join(err1, err2, err3) == nil && low <= n && n <= high
}

func compare(t *testing.T, c told, e *event.Event) {
	require.Equal(t, c.Args, starred(c.Args, args(e)))
	file := about(&e.File)
	file["data"] = string(e.Data)
	for name, value := range c.File {
		require.Equal(t, value, file[name], "%s of %+v", name, e.File)
	}
	if c.Ret < 0 {
		require.Nil(t, e.Change)
	}
	if len(c.Change) == 0 {
		return
	}
	require.NotNil(t, e.Change)
	change := starred(c.Change, changed(e))
	for name, value := range c.Change {
		require.Equal(t, value, change[name], "%s of %+v", name, e.Change)
	}
}

func about(f *event.File) map[string]string {
	all := map[string]string{
		"kind": "", "num": num(f.Num), "name": f.Name, "realpath": f.RealPath, "l4": num(uint32(f.Socket.L4)), "role": num(uint32(f.Socket.Role)),
		"local": "", "remote": "", "connected": strconv.FormatBool(f.Socket.Connected), "renamed": strconv.FormatBool(f.Socket.Renamed),
	}
	if f.Kind != 0 {
		all["kind"] = string(rune(f.Kind))
	}
	if f.Socket.Local.IsValid() {
		all["local"] = f.Socket.Local.String()
	}
	if f.Socket.Remote.IsValid() {
		all["remote"] = f.Socket.Remote.String()
	}
	return all
}

func changed(e *event.Event) map[string]string {
	s := e.Change
	return map[string]string{
		"uid": num(s.UID), "euid": num(s.EUID), "suid": num(s.SUID), "fsuid": num(s.FSUID),
		"gid": num(s.GID), "egid": num(s.EGID), "sgid": num(s.SGID), "fsgid": num(s.FSGID),
		"inheritable": num(s.Caps.Inheritable), "permitted": num(s.Caps.Permitted), "effective": num(s.Caps.Effective),
		"cwd": s.CWD, "root": s.Root, "comm": e.Task.Comm, "uts": num(s.Namespaces.UTS), "tty": num(s.TTY),
		"sid": num(int64(s.SID)), "pgid": num(int64(s.PGID)), "vpgid": num(int64(s.VPGID)), "vsid": num(int64(s.VSID)),
	}
}

// cannot are calls that the test cannot bring to that end.
var cannot = map[string]bool{
	"init_module/ok": true, "finit_module/ok": true, // this would need a module for this kernel
	"execve/ok": true, "execveat/ok": true, // TestLive has them
	"setsid/ok/32": true,                       // one process can do it once
	"fork/failed":  true, "vfork/failed": true, // only a lack of memory fails them for root
}

// complete says that no call was left out.
func complete(t *testing.T, made map[string]int) {
	for _, typ := range capture.Captured() {
		for _, end := range []string{"ok", "failed"} {
			name := typ.String() + "/" + end
			for _, compat := range []bool{false, true} {
				if cannot[name] || compat && cannot[name+"/32"] || typ == event.Umount && !compat { // the 64-bit table has none
					continue
				}
				require.NotZero(t, made[fmt.Sprintf("%s/compat=%v/%s", typ, compat, end)], "%s, 32 bit %v, is not tested", name, compat)
			}
		}
	}
}
