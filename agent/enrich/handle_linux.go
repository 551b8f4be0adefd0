package enrich

import (
	"encoding/binary"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// fileIDKernfs is the kind of a kernfs file handle: the 64-bit id of the node.
const fileIDKernfs = 0xfe

// byHandle opens a cgroup's directory by its id and asks where it is: no walk
// through the tree. It needs CAP_DAC_READ_SEARCH.
func (f *cgroupFS) byHandle(id uint64) (string, bool) {
	mount, err := unix.Open(f.root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", false
	}
	defer unix.Close(mount)
	handle := unix.NewFileHandle(fileIDKernfs, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(mount, handle, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	var buf [unix.PathMax]byte
	n, err := unix.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(fd)), buf[:])
	if err != nil {
		return "", false
	}
	path, ok := strings.CutPrefix(string(buf[:n]), f.root)
	if !ok {
		return "", false
	}
	if path == "" {
		path = "/"
	}
	return strings.TrimSuffix(path, " (deleted)"), true
}
