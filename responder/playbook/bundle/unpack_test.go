package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook/sandbox"
)

func TestHostileArchives(t *testing.T) {
	link := func(kind byte, name, to string) entry {
		return entry{tar.Header{Name: name, Typeflag: kind, Linkname: to}, ""}
	}
	good := archive(t, plain("a.rego", "package a"))
	wrongSum := bytes.Clone(good)
	wrongSum[len(wrongSum)-8] ^= 1
	many := make([]entry, maxEntries+1)
	for i := range many {
		many[i] = entry{tar.Header{Name: "d/", Typeflag: tar.TypeDir}, ""}
	}
	for name, tt := range map[string]struct {
		packed []byte
		want   string
	}{
		"nothing":             {nil, "it is no tar.gz"},
		"no gzip":             {[]byte("package a"), "it is no tar.gz"},
		"no tar":              {zipped(t, strings.NewReader(strings.Repeat("x", 2000))), "it is damaged or no tar.gz"},
		"cut":                 {good[:len(good)-20], "it is damaged"},
		"a wrong checksum":    {wrongSum, "it is damaged"},
		"a way out":           {archive(t, plain("../a.rego", "")), `"../a.rego" is no name`},
		"a way out within":    {archive(t, plain("a/../../b.rego", "")), "is no name"},
		"a way within":        {archive(t, plain("a/../b.rego", "")), "is no name"},
		"two slashes":         {archive(t, plain("//a.rego", "")), "is no name"},
		"a backslash":         {archive(t, plain(`a\b.rego`, "")), "is no name"},
		"an order to screens": {archive(t, plain("a\x1b[2J.rego", "")), "is no name"},
		"right to left":       {archive(t, plain("a\u202eoger.rego", "")), "is no name"},
		"no name":             {archive(t, plain(".", "")), "is no name"},
		"a long name":         {archive(t, plain(strings.Repeat("x/", 300)+"a", "")), "is no name"},
		"a link":              {archive(t, link(tar.TypeSymlink, "a.rego", "/etc/shadow")), `"a.rego" is no plain file (type '2')`},
		"a hard link":         {archive(t, link(tar.TypeLink, "a.rego", "/etc/shadow")), `"a.rego" is no plain file (type '1')`},
		"a pipe":              {archive(t, link(tar.TypeFifo, "a.rego", "")), "is no plain file"},
		"twice":               {archive(t, plain("a.rego", "package a"), plain("/a.rego", "package b")), `"a.rego" is there twice`},
		"twice by a dot":      {archive(t, plain("a.rego", "package a"), plain("./a.rego", "package b")), `"a.rego" is there twice`},
		"a file and a folder": {archive(t, plain("a", "x"), plain("a/b/c.rego", "package b")), `"a" is a file and a folder`},
		"many entries":        {archive(t, many...), "more than 4000 entries"},
		"a lying size":        {archive(t, entry{tar.Header{Name: "a.rego", Typeflag: tar.TypeReg, Size: 1 << 20}, "package a"}), "it is damaged"},
		"a huge size":         {huge(t), "it unpacks to more than"},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := unpack(bytes.NewReader(tt.packed))
			if err == nil {
				_, err = tree(files)
			}
			require.ErrorContains(t, err, tt.want)
			_, err = Read("b", tt.packed, Unsigned())
			require.ErrorContains(t, err, "b: ")
		})
	}
}

// huge has a header that promises 2^62 bytes, in the base-256 form.
func huge(t testing.TB) []byte {
	h := make([]byte, 512)
	copy(h, "a.rego")
	copy(h[100:], "0000644\x00")
	h[124] = 0x80
	binary.BigEndian.PutUint64(h[128:], 1<<62)
	copy(h[257:], "ustar\x0000")
	h[156] = tar.TypeReg
	copy(h[148:], "        ")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], []byte{'0' + byte(sum>>15&7), '0' + byte(sum>>12&7), '0' + byte(sum>>9&7), '0' + byte(sum>>6&7), '0' + byte(sum>>3&7), '0' + byte(sum&7), 0, ' '})
	return zipped(t, bytes.NewReader(h))
}

func zipped(t testing.TB, r io.Reader) []byte {
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	_, err := io.Copy(gz, r)
	require.NoError(t, err)
	require.NoError(t, gz.Close())
	return buf.Bytes()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// A few kilobytes that unpack to gigabytes take neither memory nor long: in a file, after
// the archive's end, and in front of it.
func TestBombs(t *testing.T) {
	const blown = 256 << 20
	inFile := func() []byte {
		var buf bytes.Buffer
		gz := gzip.NewWriter(&buf)
		w := tar.NewWriter(gz)
		for _, name := range []string{"a/data.json", "b/data.json"} {
			require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: maxUnpacked - 1}))
			_, err := io.CopyN(w, zeros{}, maxUnpacked-1)
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		require.NoError(t, gz.Close())
		return buf.Bytes()
	}
	folder := func() []byte {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "a.rego", Typeflag: tar.TypeReg, Size: 1}))
		_, err := w.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return zipped(t, io.MultiReader(&buf, io.LimitReader(zeros{}, blown)))
	}
	for name, packed := range map[string][]byte{"in files": inFile(), "behind": folder(), "alone": zipped(t, io.LimitReader(zeros{}, blown))} {
		t.Run(name, func(t *testing.T) {
			require.Less(t, len(packed), MaxBytes)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := unpack(bytes.NewReader(packed))
			runtime.ReadMemStats(&after)
			if name != "alone" { // zero blocks are a tar's end: an empty bundle, if it is not too long
				require.ErrorIs(t, err, errTooLarge)
			}
			require.Error(t, err)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(6*maxUnpacked))
		})
	}
}

// FuzzUnpack: whatever a server sends, it is refused or becomes files with plain names
// within bounds that can be read under those names.
func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, plain("/web/web.rego", web), plain("/data.json", `{"images": {}}`), plain("/.manifest", `{"roots": [""]}`)))
	f.Add(archive(f, plain("a", "x"), plain("a/b", "y")))
	f.Add(archive(f, entry{tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, ""}, plain("l/passwd", "x")))
	f.Add(huge(f))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, packed []byte) {
		files, err := unpack(bytes.NewReader(packed))
		if err == nil {
			fuzzTree(t, files)
		}
		_, _ = Read("b", packed, Unsigned())
	})
}

// FuzzTar is FuzzUnpack behind the compression, where most of what can go wrong lies.
func FuzzTar(f *testing.F) {
	for _, packed := range [][]byte{
		archive(f, plain("/web/web.rego", web), plain("/data.json", `{"images": {}}`)), huge(f),
		archive(f, plain("a.rego", ""), plain("./a.rego", "")), archive(f, plain(strings.Repeat("d/", 200)+"ä.rego", "x")),
	} {
		gz, err := gzip.NewReader(bytes.NewReader(packed))
		require.NoError(f, err)
		b, err := io.ReadAll(gz)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		files, err := unpack(bytes.NewReader(zipped(t, bytes.NewReader(archive))))
		if err == nil {
			fuzzTree(t, files)
		}
	})
}

func fuzzTree(t *testing.T, files []file) {
	root, err := tree(files)
	if err != nil {
		return
	}
	size, n := 0, 0
	err = fs.WalkDir(root, ".", func(_ string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		if !d.IsDir() {
			n++
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, len(files), n)
	for _, f := range files {
		require.True(t, fs.ValidPath(f.path))
		text, err := fs.ReadFile(root, f.path)
		require.NoError(t, err)
		require.Equal(t, string(f.text), string(text))
		size += len(text)
	}
	require.LessOrEqual(t, size, maxUnpacked)
	_, _ = sandbox.Read(sandbox.Source{Name: "b", FS: root})
}
