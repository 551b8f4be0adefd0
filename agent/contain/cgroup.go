package contain

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroup is an open directory of the cgroup v2 tree. Everything goes through the
// descriptor, so that nobody can put another directory under the same name
// between the look and the act.
type cgroup struct {
	dir *os.File
	ino uint64
}

// openCgroup opens the directory at a path below root ("/kubepods/…"). No
// symbolic link and no ".." leads out of root. The error is fs.ErrNotExist if
// there is none.
func openCgroup(root, below string) (*cgroup, error) {
	r, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the cgroup root %s: %w", root, err)
	}
	defer unix.Close(r)
	rel := strings.TrimPrefix(path.Clean("/"+below), "/")
	if rel == "" {
		rel = "."
	}
	fd, err := unix.Openat2(r, rel, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open cgroup", Path: filepath.Join(root, rel), Err: err}
	}
	return newCgroup(fd, filepath.Join(root, rel))
}

func newCgroup(fd int, name string) (*cgroup, error) {
	c := &cgroup{dir: os.NewFile(uintptr(fd), name)}
	var st unix.Stat_t
	var fsys unix.Statfs_t
	err := unix.Fstat(fd, &st)
	if err == nil {
		err = unix.Fstatfs(fd, &fsys)
	}
	if err == nil && fsys.Type != unix.CGROUP2_SUPER_MAGIC {
		err = fmt.Errorf("%s is not in the cgroup v2 tree", name)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	c.ino = st.Ino
	return c, nil
}

func (c *cgroup) close() error { return c.dir.Close() }

// file opens one of the cgroup's control files.
func (c *cgroup) file(name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(int(c.dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(c.dir.Name(), name), Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(c.dir.Name(), name)), nil
}

func (c *cgroup) write(name, value string) error {
	f, err := c.file(name, unix.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// Bounds of what one container may make the agent look at. cgroup.kill reaches
// what lies beyond them.
const (
	maxProcesses = 1 << 16
	maxCgroups   = 4096
	maxDepth     = 32
)

// walk collects processes; it ends early at a bound.
type walk struct {
	processes map[int]bool
	cgroups   int
}

// processes lists the processes of the cgroup and of all cgroups in it, as this
// process's PID namespace numbers them.
func (c *cgroup) processes() (map[int]bool, error) {
	w := walk{processes: map[int]bool{}}
	err := w.visit(c, 0)
	return w.processes, err
}

func (w *walk) visit(c *cgroup, depth int) error {
	w.cgroups++
	b, err := c.read("cgroup.procs")
	switch {
	case errors.Is(err, unix.EOPNOTSUPP):
		// A threaded cgroup: its processes stand in the domain above it.
	case err != nil:
		return ignoreGone(err)
	}
	for text := range strings.FieldsSeq(string(b)) {
		pid, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s/cgroup.procs holds %q", c.dir.Name(), text)
		}
		w.processes[pid] = true
	}
	names, err := c.children()
	if err != nil {
		return ignoreGone(err)
	}
	for _, name := range names {
		if depth == maxDepth || w.cgroups >= maxCgroups || len(w.processes) >= maxProcesses {
			return nil
		}
		f, err := c.file(name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err == nil {
			child := &cgroup{dir: f}
			err = w.visit(child, depth+1)
			child.close()
		}
		if ignoreGone(err) != nil {
			return err
		}
	}
	return nil
}

func (c *cgroup) children() ([]string, error) {
	// Its own descriptor, because reading a directory moves the position.
	list, err := c.file(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer list.Close()
	entries, err := list.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (c *cgroup) read(name string) ([]byte, error) {
	f, err := c.file(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// removed says that the directory is no longer in the tree.
func (c *cgroup) removed() bool {
	_, err := c.read("cgroup.events")
	return err != nil && ignoreGone(err) == nil
}

// ignoreGone makes nothing of a cgroup that was removed meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// handleKernfs is the type of a kernfs file handle: 8 bytes, the inode's number.
const handleKernfs = 0xfe

// cgroupByID opens a cgroup by its inode's number alone.
func cgroupByID(root string, id uint64) (*cgroup, error) {
	r, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the cgroup root %s: %w", root, err)
	}
	defer unix.Close(r)
	fd, err := unix.OpenByHandleAt(r, unix.NewFileHandle(handleKernfs, binary.NativeEndian.AppendUint64(nil, id)), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if errors.Is(err, unix.ESTALE) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("open cgroup %d: %w", id, err)
	}
	return newCgroup(fd, fmt.Sprintf("cgroup %d", id))
}
