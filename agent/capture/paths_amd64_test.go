//go:build linux

package capture_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture"
	"riposte/agent/capture/actortest"
	"riposte/agent/event"
)

// opensOf counts the opens of an actor's by the name that it gave, and how many were
// left out for their path, of it and of all other processes.
func (w *watcher) opensOf(a *actortest.Actor, name string, do func()) (told int, left uint64) {
	w.t.Helper()
	before := w.src.PassedBy()
	do()
	w.steps++
	end := fmt.Sprintf("/no-such-file/%d", w.steps)
	w.clock.Do("open", end, "1")
	for e := range w.seen {
		switch {
		case e.File.NameRaw == end:
			return told, w.src.PassedBy() - before
		case e.Task.PID == int32(a.PID) && e.File.NameRaw == name:
			told++
		}
	}
	return
}

// TestPaths opens files that are wanted for their path and such that are not, by their
// own name and by others.
func TestPaths(t *testing.T) {
	for _, raw := range []bool{false, true} {
		t.Run(fmt.Sprintf("raw=%v", raw), func(t *testing.T) {
			w := newWatcher(t, raw)
			dir, err := filepath.EvalSymlinks(t.TempDir())
			require.NoError(t, err)
			file := func(name string) string {
				name = filepath.Join(dir, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
				require.NoError(t, os.WriteFile(name, nil, 0o600))
				return name
			}
			plain, secret, key := file("plain"), file("secret/file"), file("a@key")
			long := file(strings.Repeat("long/", 30) + "file")
			link := filepath.Join(dir, "link")
			require.NoError(t, os.Symlink(plain, link))
			a := actortest.Start(t, "")
			const times = 100
			opens := func(name string) func() { return func() { a.Do("open", name, strconv.Itoa(times)) } }
			all := func(name, why string) {
				t.Helper()
				told, _ := w.opensOf(a, name, opens(name))
				require.Equal(t, times, told, why)
			}
			// A mask that another process's change has ended may be made anew, so some are
			// told after each.
			few := func(name, why string) {
				t.Helper()
				told, left := w.opensOf(a, name, opens(name))
				require.Less(t, told, times, why)
				require.GreaterOrEqual(t, told+int(left), times, why)
			}
			all(plain, "nobody has said what is wanted")
			paths := event.Paths{Types: []event.Type{event.Openat}, Prefixes: []string{dir + "/secret", "/x"}, Bytes: []uint64{event.PathBytes("@key")}}
			require.NoError(t, w.src.SetPaths(paths))
			few(plain, "its path is unwanted")
			all(secret, "it begins so")
			all(key, "it may contain the text")
			all(link, "the name leads elsewhere")
			all("/proc/self/root"+plain, "so does this one")
			all(dir+"/./plain", "it is not the path as it is written")
			all(dir+"//plain", "nor is this")
			all(dir+"/none", "it failed")
			all(long, "it is long")
			few(plain, "still")
			told, _ := w.opensOf(a, plain, func() { a.Do("openwrite", plain, "40") })
			require.Equal(t, 40, told, "it writes")

			told, _ = w.opensOf(a, plain, func() { a.Do("comm", "other"); a.Do("open", plain, "1") })
			require.Equal(t, 1, told, "the first open that tells another name of the process")
			told, _ = w.opensOf(a, plain, func() { a.Do("uid", "1234"); a.Do("open", "/", "1") })
			require.Zero(t, told)
			a.Do("uid", "0")

			require.NoError(t, w.src.SetPaths(event.Paths{Types: paths.Types, Prefixes: []string{plain}}))
			all(plain, "another set")
			few(key, "what the set before had is gone")
			require.NoError(t, w.src.SetPaths(event.Paths{Types: []event.Type{event.Openat2}}))
			all(key, "it is about another call")
			require.NoError(t, w.src.SetPaths(event.Paths{Types: paths.Types, Bytes: make([]uint64, 2)}))
			require.Error(t, w.src.SetPaths(event.Paths{Types: paths.Types, Bytes: make([]uint64, 100)}))
			all(key, "what cannot be set is not half set")
			require.NoError(t, w.src.SetPaths(event.Paths{Types: paths.Types}))
			few(key, "nothing is wanted")
			require.NoError(t, w.src.SetTypes([]event.Type{event.Openat}))
			few(key, "other types change nothing about that")
			require.NoError(t, w.src.SetPaths(event.Paths{}))
			all(key, "all is wanted")
			require.NoError(t, w.src.Close())
			require.NoError(t, w.src.SetPaths(paths))
			require.Zero(t, w.src.PassedBy())
		})
	}
}

// TestPathsWithoutMasks: where nobody counts changes, nothing is left out.
func TestPathsWithoutMasks(t *testing.T) {
	src := open(t, capture.Options{Types: []event.Type{event.Openat}}).(*capture.Live)
	require.NoError(t, src.SetPaths(event.Paths{Types: []event.Type{event.Openat}}))
	a := actortest.Start(t, "")
	a.Do("open", "/etc/hostname", "100")
	require.Zero(t, src.PassedBy())
}
