// Package cgroupns says where processes are in the cgroup v2 tree, also to a process in a
// cgroup namespace of its own. Where the tree is the only one, container runtimes give
// one to every container that is not privileged; /proc then tells paths as they look from
// there, such as /../../system.slice/cron.service.
package cgroupns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Shown takes the path in the cgroup v2 tree from the text of /proc/PID/cgroup; ok is
// false if it has none.
func Shown(text string) (shown string, ok bool) {
	for line := range strings.Lines(text) {
		if p, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSuffix(strings.TrimSuffix(p, "\n"), " (deleted)"), true
		}
	}
	return "", false
}

// View is how this process sees the tree. The zero value sees it from its root.
type View struct {
	// base is the path of the namespace's root; empty for the tree's own.
	base string
}

// Look finds from where this process sees the tree that is mounted, whole, at root: its
// own cgroup is the one that lists it.
func Look(root string) (View, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return View{}, fmt.Errorf("find this process's own cgroup: %w", err)
	}
	shown, ok := Shown(string(b))
	if !ok {
		return View{}, errors.New("/proc/self/cgroup has no line for cgroup v2 (0::…)")
	}
	if !outside(shown) && lists(filepath.Join(root, shown)) {
		return View{}, nil
	}
	own, err := find(root)
	if err != nil {
		return View{}, err
	}
	base, ok := strings.CutSuffix(own, strings.TrimSuffix(shown, "/"))
	if !ok || outside(shown) {
		return View{}, fmt.Errorf("this process is in the cgroup %s, which looks like %s: it was moved out of its cgroup namespace, whose place in the tree cannot be told any more", own, shown)
	}
	return View{strings.TrimSuffix(base, "/")}, nil
}

// Path is where in the tree a path is that /proc shows.
func (v View) Path(shown string) string { return path.Clean("/" + v.base + shown) }

// outside says that a path leads out of the namespace.
func outside(shown string) bool { return shown == "/.." || strings.HasPrefix(shown, "/../") }

// lists says that a cgroup has this process. One that is threaded cannot say; its
// processes are those of the one above it.
func lists(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	return err == nil && slices.Contains(strings.Fields(string(b)), strconv.Itoa(os.Getpid()))
}

func find(root string) (own string, err error) {
	err = filepath.WalkDir(root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // gone meanwhile
		}
		if lists(dir) {
			own = "/" + strings.TrimPrefix(strings.TrimPrefix(dir, root), "/")
			return fs.SkipAll
		}
		return nil
	})
	if err == nil && own == "" {
		err = fmt.Errorf("no cgroup below %s lists this process: is the whole cgroup v2 tree mounted there?", root)
	}
	return own, err
}
