package bundle

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode"
)

// Bounds of what a bundle unpacks to.
const (
	maxUnpacked = 32 << 20
	maxEntries  = 4000
	maxPath     = 512
	// maxStream bounds the archive itself: headers, padding and what nobody reads.
	maxStream = maxUnpacked + 4*maxEntries*1024
)

var errTooLarge = fmt.Errorf("it unpacks to more than %d bytes", maxUnpacked)

// file is one file of a bundle.
type file struct {
	path string
	text []byte
}

// unpack reads a tar.gz within bounds. Only plain files with plain names are taken, each
// once: whatever else an archive can hold has no business in a bundle.
func unpack(packed io.Reader) ([]file, error) {
	gz, err := gzip.NewReader(packed)
	if err != nil {
		return nil, fmt.Errorf("it is no tar.gz: %w", err)
	}
	stream := &io.LimitedReader{R: gz, N: maxStream}
	tr := tar.NewReader(stream)
	var (
		files []file
		size  int
	)
	seen := map[string]bool{}
	for entries := 0; ; entries++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, broken(stream, err)
		}
		if entries == maxEntries {
			return nil, fmt.Errorf("it has more than %d entries", maxEntries)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		name, err := cleanName(h.Name)
		switch {
		case err != nil:
			return nil, err
		case h.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("%q is no plain file (type %q)", name, h.Typeflag)
		case seen[name]:
			return nil, fmt.Errorf("%q is there twice", name)
		case h.Size > maxUnpacked:
			return nil, errTooLarge
		}
		seen[name] = true
		// A sparse file is longer than what the stream holds of it.
		text, err := io.ReadAll(io.LimitReader(tr, int64(maxUnpacked-size)+1))
		if err != nil {
			return nil, broken(stream, fmt.Errorf("%q: %w", name, err))
		}
		if size += len(text); size > maxUnpacked {
			return nil, errTooLarge
		}
		files = append(files, file{path: name, text: text})
	}
	// To the end, where the checksum stands.
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return nil, broken(stream, err)
	}
	if stream.N <= 0 {
		return nil, errTooLarge
	}
	return files, nil
}

func broken(stream *io.LimitedReader, err error) error {
	if stream.N <= 0 {
		return errTooLarge
	}
	return fmt.Errorf("it is damaged or no tar.gz: %w", err)
}

// cleanName takes the slash off that OPA writes in front of names.
func cleanName(name string) (string, error) {
	clean := strings.TrimPrefix(strings.TrimPrefix(name, "."), "/")
	if !strings.HasPrefix(name, "./") && !strings.HasPrefix(name, "/") {
		clean = name
	}
	odd := func(r rune) bool { return r == '\\' || r == unicode.ReplacementChar || !unicode.IsPrint(r) }
	if len(name) > maxPath || !fs.ValidPath(clean) || clean == "." || strings.ContainsFunc(clean, odd) {
		return "", fmt.Errorf("%.80q is no name for a file of a bundle", name)
	}
	return clean, nil
}

// tree makes the files an fs.FS: a zip archive in memory is one.
func tree(files []file) (fs.FS, error) {
	// A name that is a file's and a folder's too could be read as either.
	plain := map[string]bool{}
	for _, f := range files {
		plain[f.path] = true
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		for dir := path.Dir(f.path); dir != "."; dir = path.Dir(dir) {
			if plain[dir] {
				return nil, fmt.Errorf("%q is a file and a folder", dir)
			}
		}
		to, err := w.CreateHeader(&zip.FileHeader{Name: f.path, Method: zip.Store})
		if err == nil {
			_, err = to.Write(f.text)
		}
		if err != nil {
			return nil, fmt.Errorf("hold %q: %w", f.path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
}
