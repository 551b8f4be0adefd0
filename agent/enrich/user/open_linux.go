package user

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// errNotRegular is about a list that is no regular file, or too long.
var errNotRegular = errors.New("not a regular file of a list's size")

// errOther is about a process that has ended, whose number may be someone else's now.
var errOther = errors.New("the process has ended")

// clockTick is the unit of start times in /proc, in nanoseconds.
const clockTick = uint64(10_000_000)

// root is one process's root directory.
type root struct {
	dir  *os.File // /proc/PID
	file *os.File
}

// openRoot opens the root of the process that started then; 0 is for any. What is
// opened stays that process's, whoever gets its number.
func openRoot(proc string, pid int32, startNS uint64) (*root, error) {
	dir, err := os.Open(filepath.Join(proc, strconv.Itoa(int(pid))))
	if err != nil {
		return nil, err
	}
	r := &root{dir: dir}
	stat, err := r.read("stat")
	if err == nil && startNS != 0 && !startedAt(stat, startNS) {
		err = errOther
	}
	if err == nil {
		var fd int
		fd, err = unix.Openat(int(dir.Fd()), "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err == nil {
			r.file = os.NewFile(uintptr(fd), "root")
			return r, nil
		}
	}
	r.close()
	return nil, fmt.Errorf("root of process %d: %w", pid, err)
}

func (r *root) close() {
	r.dir.Close()
	if r.file != nil {
		r.file.Close()
	}
}

// same says whether both are one directory.
func (r *root) same(other *root) bool {
	var a, b unix.Stat_t
	if unix.Fstat(int(r.file.Fd()), &a) != nil || unix.Fstat(int(other.file.Fd()), &b) != nil {
		return false
	}
	return a.Ino == b.Ino && a.Dev == b.Dev
}

// read has a small file of the process's folder in /proc.
func (r *root) read(name string) (string, error) {
	fd, err := unix.Openat(int(r.dir.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	return string(b), err
}

// startedAt compares the start in /proc/PID/stat, which has whole ticks.
func startedAt(stat string, startNS uint64) bool {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 20 {
		return false
	}
	ticks, err := strconv.ParseUint(f[19], 10, 64)
	return err == nil && ticks == startNS/clockTick
}

// list reads a file below the root, wherever its symbolic links point. It returns nil
// without an error where the file is still as it was before.
func (r *root) list(name string, before version) ([]byte, version, error) {
	var none version
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(int(r.file.Fd()), name, &how)
	if err != nil {
		return nil, none, fmt.Errorf("%s: %w", name, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, none, fmt.Errorf("%s: %w", name, err)
	}
	// Only now that it is known to be a file it is really opened: to open a device or a
	// FIFO can do something by itself.
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > maxFile {
		return nil, none, fmt.Errorf("%s: %w", name, errNotRegular)
	}
	now := version{ino: st.Ino, dev: st.Dev, size: st.Size, mtimeNS: st.Mtim.Nano(), ctimeNS: st.Ctim.Nano()}
	if now == before {
		return nil, now, nil
	}
	f, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(fd), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, none, fmt.Errorf("%s: %w", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, none, fmt.Errorf("%s: %w", name, err)
	}
	if b == nil {
		b = []byte{}
	}
	return b, now, nil
}
