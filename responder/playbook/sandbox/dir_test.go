package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// kubelet mounts a ConfigMap as its AtomicWriter does: the files of a version lie in a
// directory of their own, ..data links to it, and the visible names link through ..data.
type kubelet struct {
	t   testing.TB
	dir string
	n   int
}

func (k *kubelet) write(files ...string) {
	k.t.Helper()
	old, _ := os.Readlink(filepath.Join(k.dir, "..data"))
	k.n++
	version := fmt.Sprintf("..2026_%d", k.n)
	require.NoError(k.t, os.Mkdir(filepath.Join(k.dir, version), 0o755))
	var names []string
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(k.dir, version, files[i])
		require.NoError(k.t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(k.t, os.WriteFile(path, []byte(files[i+1]), 0o644))
		top, _, _ := strings.Cut(files[i], "/")
		names = append(names, top)
	}
	require.NoError(k.t, os.Symlink(version, filepath.Join(k.dir, "..data_tmp")))
	require.NoError(k.t, os.Rename(filepath.Join(k.dir, "..data_tmp"), filepath.Join(k.dir, "..data")))
	for _, name := range names {
		_ = os.Symlink("..data/"+name, filepath.Join(k.dir, name)) // most are there
	}
	if old != "" {
		require.NoError(k.t, os.RemoveAll(filepath.Join(k.dir, old)))
	}
}

func paths(files []*File) (out []string) {
	for _, f := range files {
		out = append(out, f.Path)
	}
	return out
}

func TestConfigMapIsReadAsOneVersion(t *testing.T) {
	dir := t.TempDir()
	k := &kubelet{t: t, dir: dir}
	k.write("a.rego", "package a\n", "b.rego", "package b\n", "sub/c.rego", "package c\n")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "beside"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "beside", "d.rego"), []byte("package d\n"), 0o644))
	k2 := &kubelet{t: t, dir: filepath.Join(dir, "beside")}
	k2.write("e.rego", "package e\n")

	src := Dir(dir)
	stamp := src.Stamp()
	files, err := Read(src)
	require.NoError(t, err)
	require.Equal(t, []string{dir + "/a.rego", dir + "/b.rego", dir + "/beside/d.rego", dir + "/beside/e.rego", dir + "/sub/c.rego"}, paths(files))

	// A swap in the midst of reading: what was opened before does not see the new files.
	half, err := src.Open()
	require.NoError(t, err)
	f, err := half.FS.Open("a.rego")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	k.write("a.rego", "package a2\n", "z.rego", "package z\n")
	_, err = half.FS.Open("a.rego")
	require.ErrorContains(t, err, "open a.rego: no such file or directory")
	_, err = half.FS.Open("z.rego")
	require.Error(t, err, "of the new version")
	_, err = Read(half)
	require.Error(t, err)

	require.NotEqual(t, stamp, src.Stamp(), "the change is seen")
	now, err := src.Open()
	require.NoError(t, err)
	files, err = Read(now)
	require.NoError(t, err)
	require.Equal(t, []string{dir + "/a.rego", dir + "/beside/d.rego", dir + "/beside/e.rego", dir + "/z.rego"}, paths(files))
	require.Equal(t, "a2", files[0].Package)
}

// However often the mount is swapped, what is read is of one version or an error.
func TestSwapsWhileReading(t *testing.T) {
	dir := t.TempDir()
	k := &kubelet{t: t, dir: dir}
	set := func(n int) {
		k.write("a.rego", fmt.Sprintf("package a%d\n", n), "b.rego", fmt.Sprintf("package b%d\n", n))
	}
	set(0)
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for n := range 200 {
			set(n + 1)
		}
	})
	whole := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		src, err := Dir(dir).Open()
		require.NoError(t, err)
		files, err := Read(src)
		if err != nil {
			continue
		}
		if len(files) == 2 {
			whole++
			require.Equal(t, files[0].Package[1:], files[1].Package[1:], "half of one version and half of another")
		}
	}
	wg.Wait()
	require.Positive(t, whole)
}

func TestMountLeavesItsDirectoryToNobody(t *testing.T) {
	fs := Dir(t.TempDir()).FS
	for _, name := range []string{"../a", "/etc/passwd", "a/../../b", ""} {
		_, err := fs.Open(name)
		require.ErrorContains(t, err, "invalid argument", name)
	}
}
