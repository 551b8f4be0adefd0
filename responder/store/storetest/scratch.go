package storetest

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// scratchPattern names the folders of the test servers.
const scratchPattern = "riposte-storetest-*"

// scratch is a server's folder, locked for as long as this process lives, so
// that a later one can tell a killed process's folder from a living one's.
type scratch struct {
	path string
	lock *os.File
}

func newScratch() (*scratch, error) {
	sweep()
	path, err := os.MkdirTemp("", scratchPattern)
	if err != nil {
		return nil, err
	}
	lock, err := lockFolder(path)
	if err != nil {
		return nil, err
	}
	return &scratch{path, lock}, nil
}

func (s *scratch) remove() {
	os.RemoveAll(s.path)
	s.lock.Close()
}

// sweep removes the folders whose process is gone.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), scratchPattern))
	for _, path := range left {
		if lock, err := lockFolder(path); err == nil {
			os.RemoveAll(path)
			lock.Close()
		}
	}
}

// lockFolder takes the folder's own lock without waiting. The descriptor is not
// handed to child processes, so the lock ends with this process.
func lockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
