package sandbox

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// versions is the link with which kubelet replaces all files of a mounted ConfigMap,
// Secret or projected volume at once.
const versions = "..data"

// Dir is the source of one directory. Where it, or one below it, is a mounted ConfigMap,
// the files are those of the version that was mounted at the first look: a later one
// never mixes with it. Open begins anew.
func Dir(dir string) Source {
	return Source{Name: dir, FS: &mount{dir: dir}}
}

// Open returns the source as it is now. Of a directory that is its present version, of
// any other source it is the source itself.
func (s Source) Open() (Source, error) {
	if m, ok := s.FS.(*mount); ok {
		s.FS = &mount{dir: m.dir}
	}
	return s, nil
}

// mount is a directory as an fs.FS that stays with the versions it has seen.
type mount struct {
	dir string

	mu sync.Mutex
	// seen are the versions of directories, empty for one that has none.
	seen map[string]string
}

// Open opens the file of that name.
func (m *mount) Open(name string) (fs.File, error) {
	at, err := m.find("open", name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(at)
	return f, local(err, name)
}

// Stat follows links, as a directory of links demands.
func (m *mount) Stat(name string) (fs.FileInfo, error) {
	at, err := m.find("stat", name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(at)
	return info, local(err, name)
}

// ReadDir lists what the directory's version holds, in place of the links to it, and
// what lies beside: another volume may be mounted there.
func (m *mount) ReadDir(name string) ([]fs.DirEntry, error) {
	at, err := m.find("readdir", name)
	if err != nil {
		return nil, err
	}
	all, err := os.ReadDir(at)
	if err != nil {
		return nil, local(err, name)
	}
	version := m.version(at)
	if version == "" {
		return all, nil
	}
	own, err := os.ReadDir(version)
	if err != nil {
		return nil, local(err, name)
	}
	for _, e := range all {
		if !versioned(at, e.Name()) && !slices.ContainsFunc(own, func(o fs.DirEntry) bool { return o.Name() == e.Name() }) {
			own = append(own, e)
		}
	}
	slices.SortFunc(own, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return own, nil
}

// find is where a name lies: in each directory on the way, in its version.
func (m *mount) find(op, name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	at := m.dir
	if name == "." {
		return at, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if v := m.version(at); v != "" && (versioned(at, part) || exists(filepath.Join(v, part))) {
			at = v
		}
		at = filepath.Join(at, part)
	}
	return at, nil
}

// version is the directory's version, empty if it is none of kubelet's.
func (m *mount) version(dir string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, seen := m.seen[dir]; seen {
		return at
	}
	at := ""
	// kubelet names a directory beside the link.
	if to, err := os.Readlink(filepath.Join(dir, versions)); err == nil && filepath.Base(to) == to {
		at = filepath.Join(dir, to)
	}
	if m.seen == nil {
		m.seen = map[string]string{}
	}
	m.seen[dir] = at
	return at
}

// versioned says that an entry is one of kubelet's links, which leads to whichever
// version is the latest.
func versioned(dir, name string) bool {
	to, err := os.Readlink(filepath.Join(dir, name))
	return err == nil && strings.HasPrefix(to, versions+"/")
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// local names the place as the caller did.
func local(err error, name string) error {
	if e, ok := err.(*fs.PathError); ok { //nolint:errorlint // os returns it unwrapped
		return &fs.PathError{Op: e.Op, Path: name, Err: e.Err}
	}
	return err
}
