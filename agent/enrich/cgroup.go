package enrich

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// errNoCgroup2 is the answer on a host without the unified hierarchy.
var errNoCgroup2 = errors.New("no cgroup v2 file system is mounted; mount one with: mount -t cgroup2 none /sys/fs/cgroup")

// CgroupRoot finds where cgroup v2 is mounted: /sys/fs/cgroup on most hosts,
// /sys/fs/cgroup/unified on hybrid ones, or anywhere else.
func CgroupRoot() (string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("cgroup root: %w", err)
	}
	root, ok := cgroupMount(string(b))
	if !ok {
		return "", errNoCgroup2
	}
	return root, nil
}

// cgroupMount looks for a mount of the whole hierarchy in the text of mountinfo. The
// usual places win over others, which may be some container's.
func cgroupMount(mountinfo string) (string, bool) {
	found := ""
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		f := strings.Fields(before)
		if !ok || len(f) < 5 || !wholeTree(f[3]) || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		switch at := unescape(f[4]); {
		case at == "/sys/fs/cgroup" || at == "/sys/fs/cgroup/unified":
			return at, true
		case found == "":
			found = at
		}
	}
	return found, found != ""
}

// wholeTree says whether a mount's root is that of the hierarchy. From a cgroup namespace
// of its own, which runtimes give every container that is not privileged, it looks like
// "/../../..".
func wholeTree(root string) bool { return strings.ReplaceAll(root, "/..", "") == "" || root == "/" }

// unescape undoes mountinfo's octal codes for blanks and backslashes.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// cgroupFS is the mounted hierarchy.
type cgroupFS struct {
	root string
	proc *procFiles
}

// id is the inode of a cgroup's directory, which is how the kernel's programs name
// it.
func (f *cgroupFS) id(path string) (uint64, bool) {
	var st syscall.Stat_t
	if syscall.Stat(filepath.Join(f.root, path), &st) != nil {
		return 0, false
	}
	return st.Ino, true
}

// Bounds of what is remembered; a cgroup that comes again is looked up again.
const (
	maxCgroupPaths = 1 << 16
	maxCgroupBytes = 16 << 20
)

// cgroups remembers the paths of cgroups by id. An id is never used for a second
// cgroup and a cgroup never moves, so what was found stays true.
type cgroups struct {
	fs   *cgroupFS // nil for a recording
	byID map[uint64]string
	ids  map[string]uint64
	// bytes is the length of all paths.
	bytes int
}

func newCgroups(fs *cgroupFS, known map[uint64]string) cgroups {
	c := cgroups{fs: fs, byID: map[uint64]string{}, ids: map[string]uint64{}}
	for id, path := range known {
		c.learn(id, path)
	}
	return c
}

func (c *cgroups) learn(id uint64, path string) {
	if c.fs != nil && (len(c.byID) >= maxCgroupPaths || c.bytes+len(path) > maxCgroupBytes) {
		clear(c.byID)
		clear(c.ids)
		c.bytes = 0
	}
	c.bytes += len(path)
	c.byID[id], c.ids[path] = path, id
}

// path finds a cgroup's path below the root. A process of it helps where the cgroup
// itself has gone already.
func (c *cgroups) path(id uint64, pid int32) (string, bool) {
	if path, ok := c.byID[id]; ok {
		return path, true
	}
	if c.fs == nil {
		return "", false
	}
	path, ok := c.fs.byHandle(id)
	if !ok {
		if path, ok = c.fs.proc.cgroup(pid); !ok {
			return "", false
		}
		// The process may have moved on; believe it only where the id can be checked
		// or the cgroup has gone.
		if now, exists := c.fs.id(path); exists && now != id {
			return "", false
		}
	}
	c.learn(id, path)
	return path, true
}

// walk learns all cgroups that there are. One that goes before its events are read
// is known then.
func (c *cgroups) walk() {
	if c.fs == nil {
		return
	}
	_ = filepath.WalkDir(c.fs.root, func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || len(c.byID) >= maxCgroupPaths {
			return nil // gone meanwhile
		}
		path := strings.TrimPrefix(dir, c.fs.root)
		if path == "" {
			path = "/"
		}
		c.id(path)
		return nil
	})
}

func (c *cgroups) id(path string) (uint64, bool) {
	if id, ok := c.ids[path]; ok {
		return id, true
	}
	if c.fs == nil {
		return 0, false
	}
	id, ok := c.fs.id(path)
	if ok {
		c.learn(id, path)
	}
	return id, ok
}
