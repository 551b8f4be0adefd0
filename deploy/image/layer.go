package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// file is one entry of an image: a directory if it has neither text nor link.
type file struct {
	path string // absolute
	text []byte
	link string
	mode int64
}

// layerOf is the layer with these files and the directories above them. Nothing
// in it depends on the machine: no time, no user, no order of a directory.
func layerOf(files []file) (v1.Layer, error) {
	all := map[string]file{}
	for _, f := range files {
		f.path = strings.TrimPrefix(path.Clean("/"+f.path), "/")
		if f.path == "" {
			return nil, fmt.Errorf("%q is no path for a file", f.path)
		}
		if _, twice := all[f.path]; twice {
			return nil, fmt.Errorf("/%s is there twice", f.path)
		}
		all[f.path] = f
		for dir := path.Dir(f.path); dir != "."; dir = path.Dir(dir) {
			if _, known := all[dir]; !known {
				all[dir] = file{path: dir, mode: 0o755}
			}
		}
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names) // a directory stands before what is in it

	var buf bytes.Buffer
	archive := tar.NewWriter(&buf)
	for _, name := range names {
		if err := add(archive, all[name]); err != nil {
			return nil, fmt.Errorf("/%s: %w", name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

func add(archive *tar.Writer, f file) error {
	header := &tar.Header{Name: f.path, Mode: f.mode, Format: tar.FormatUSTAR}
	switch {
	case f.link != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, f.link, 0o777
	case f.text == nil:
		header.Typeflag, header.Name = tar.TypeDir, f.path+"/"
	default:
		header.Typeflag, header.Size = tar.TypeReg, int64(len(f.text))
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(f.text)
	return err
}
