package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const spdxType types.MediaType = "application/spdx+json"

// referrer is the SBOM as OCI 1.1 attaches it: an artifact whose subject is the
// image.
func referrer(image v1.Image, sbom []byte) (v1.Image, error) {
	subject, err := partial.Descriptor(image)
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), spdxType)
	artifact, err := mutate.AppendLayers(base, static.NewLayer(sbom, spdxType))
	if err != nil {
		return nil, err
	}
	attached, ok := mutate.Subject(artifact, *subject).(v1.Image)
	if !ok {
		return nil, errors.New("the attached artifact is no image")
	}
	return attached, nil
}

// writeArchive writes an OCI image layout as a tar archive, whole or not at all.
func writeArchive(out string, a artifact) error {
	dir, err := os.MkdirTemp(filepath.Dir(out), ".image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	index, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
	if err != nil {
		return err
	}
	config, err := a.image.ConfigFile()
	if err != nil {
		return err
	}
	tag := a.name[strings.LastIndexByte(a.name, ':')+1:]
	if err := index.AppendImage(a.image, layout.WithPlatform(v1.Platform{OS: config.OS, Architecture: config.Architecture}), layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          a.name,
		"org.opencontainers.image.ref.name": tag,
	})); err != nil {
		return err
	}
	if a.sbom != nil {
		sbom, err := referrer(a.image, a.sbom)
		if err != nil {
			return err
		}
		if err := index.AppendImage(sbom); err != nil {
			return err
		}
	}
	archive := filepath.Join(dir, "archive")
	if err := tarOf(archive, string(index)); err != nil {
		return err
	}
	return os.Rename(archive, out)
}

// tarOf writes the files below dir in the order of their names, without times.
func tarOf(out, dir string) error {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	var names []string
	if err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, path)
		}
		return err
	}); err != nil {
		return err
	}
	slices.Sort(names)
	archive := tar.NewWriter(f)
	for _, path := range names {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if err := add(archive, file{path: name, text: text, mode: 0o644}); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), f.Close())
}

// largest is how much of an archive is read: more is no image of ours.
const largest = 2 << 30

// readArchive unpacks an archive into dir and returns its layout.
func readArchive(in, dir string) (layout.Path, error) {
	f, err := os.Open(in)
	if err != nil {
		return "", err
	}
	defer f.Close()
	archive := tar.NewReader(io.LimitReader(f, largest))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", in, err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if !filepath.IsLocal(header.Name) {
			return "", fmt.Errorf("%s: %q leads out of the archive", in, header.Name)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			return "", fmt.Errorf("%s: %w", in, err)
		}
		path := filepath.Join(dir, header.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return "", err
		}
	}
	index, err := layout.FromPath(dir)
	if err != nil {
		return "", fmt.Errorf("%s is no OCI image layout: %w", in, err)
	}
	return index, nil
}
