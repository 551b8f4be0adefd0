package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"
)

// binary builds this very command, in a folder that no other build has.
func binary(t *testing.T, flags ...string) string {
	t.Helper()
	// The folder of the sources is another one each time, too: a path in the binary would show.
	sources := filepath.Join(t.TempDir(), "sources")
	require.NoError(t, os.CopyFS(sources, os.DirFS(".")))
	out := filepath.Join(t.TempDir(), "riposte")
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-buildvcs=false", "-o", out}, flags...), ".")...)
	cmd.Dir = sources
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, string(text))
	return out
}

var release = about{version: "1.2.3", revision: "0123abcd", created: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}

func TestTwoBuildsGiveTheSameImage(t *testing.T) {
	var archives [][]byte
	for range 2 {
		a, err := riposte(binary(t, "-trimpath"), release)
		require.NoError(t, err)
		a.name = "riposte.local/riposte:1.2.3"
		out := filepath.Join(t.TempDir(), "riposte.tar")
		require.NoError(t, writeArchive(out, a))
		text, err := os.ReadFile(out)
		require.NoError(t, err)
		archives = append(archives, text)
	}
	require.True(t, bytes.Equal(archives[0], archives[1]), "the archives differ")
}

func TestRiposteImage(t *testing.T) {
	program := binary(t, "-trimpath")
	a, err := riposte(program, release)
	require.NoError(t, err)

	config, err := a.image.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "65532:65532", config.Config.User)
	require.Equal(t, []string{"/usr/bin/riposte"}, config.Config.Entrypoint)
	require.Equal(t, "1.2.3", config.Config.Labels["org.opencontainers.image.version"])
	require.Equal(t, "0123abcd", config.Config.Labels["org.opencontainers.image.revision"])
	manifest, err := a.image.Manifest()
	require.NoError(t, err)
	require.Equal(t, config.Config.Labels, manifest.Annotations)

	want, err := os.ReadFile(program)
	require.NoError(t, err)
	inside := content(t, a.image)
	require.Equal(t, want, inside["usr/bin/riposte"])
	require.Contains(t, string(inside["etc/ssl/certs/ca-certificates.crt"]), "BEGIN CERTIFICATE")
	for path := range inside {
		require.NotContains(t, []string{"sh", "bash", "busybox"}, filepath.Base(path))
	}
	require.Len(t, inside, 4, "the binary, two lists of users, the roots and nothing else")
}

func TestABinaryThatWouldNotRunAloneIsRefused(t *testing.T) {
	_, err := riposte(binary(t), release)
	require.ErrorContains(t, err, "-trimpath")
	_, err = riposte("main.go", release)
	require.ErrorContains(t, err, "main.go")
}

func TestSBOMListsWhatTheBinaryWasBuiltFrom(t *testing.T) {
	with := release
	with.packageLock = "../../web/package-lock.json"
	a, err := riposte(binary(t, "-trimpath"), with)
	require.NoError(t, err)
	var doc spdxDocument
	require.NoError(t, json.Unmarshal(a.sbom, &doc))
	require.Equal(t, "SPDX-2.3", doc.Version)
	found := map[string]spdxPackage{}
	ids := map[string]bool{doc.ID: true}
	for _, p := range doc.Packages {
		found[p.Name] = p
		require.False(t, ids[p.ID], "%s is there twice", p.ID)
		ids[p.ID] = true
	}
	for _, r := range doc.Relationships {
		require.True(t, ids[r.From] && ids[r.To], "%v names what is not there", r)
	}
	require.Contains(t, found, "stdlib")
	ggcr := found["github.com/google/go-containerregistry"]
	require.Equal(t, "pkg:golang/github.com/google/go-containerregistry@"+ggcr.Version, ggcr.References[0].Locator)
	require.Contains(t, ggcr.Comment, "h1:")
	require.NotContains(t, found, "github.com/stretchr/testify", "only the tests use it")

	react := found["react"]
	require.Equal(t, "pkg:npm/react@"+react.Version, react.References[0].Locator)
	require.Equal(t, "MIT", react.Declared)
	require.Len(t, react.Checksums[0].Value, 128)
	require.Contains(t, found["@mantine/core"].References[0].Locator, "pkg:npm/%40mantine/core@")
	require.NotContains(t, found, "vite", "only the build uses it")
}

func TestAPackageLockThatIsNoneIsAnError(t *testing.T) {
	_, err := npmPackages("nothing.json")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = npmPackages("main.go")
	require.ErrorContains(t, err, "main.go")
	empty := filepath.Join(t.TempDir(), "package-lock.json")
	require.NoError(t, os.WriteFile(empty, []byte("{}"), 0o600))
	_, err = npmPackages(empty)
	require.ErrorContains(t, err, "lists no package")
}

// TestPush pushes to a real registry, in this process, and pulls again.
func TestPush(t *testing.T) {
	a, err := riposte(binary(t, "-trimpath"), release)
	require.NoError(t, err)
	a.name = "riposte.local/riposte:1.2.3"
	archive := filepath.Join(t.TempDir(), "riposte.tar")
	require.NoError(t, writeArchive(archive, a))
	want, err := a.image.Digest()
	require.NoError(t, err)

	for title, referrers := range map[string]bool{"a registry that knows referrers": true, "an older one": false} {
		t.Run(title, func(t *testing.T) {
			server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrers)))
			t.Cleanup(server.Close)
			ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/team/riposte:1.2.3")
			require.NoError(t, err)
			require.NoError(t, push(t.Context(), archive, ref.String()))

			pulled, err := remote.Image(ref)
			require.NoError(t, err)
			require.NoError(t, validate.Image(pulled))
			got, err := pulled.Digest()
			require.NoError(t, err)
			require.Equal(t, want, got)

			found, err := remote.Referrers(ref.Context().Digest(got.String()))
			require.NoError(t, err)
			index, err := found.IndexManifest()
			require.NoError(t, err)
			require.Len(t, index.Manifests, 1)
			require.Equal(t, string(spdxType), index.Manifests[0].ArtifactType)
			attached, err := remote.Image(ref.Context().Digest(index.Manifests[0].Digest.String()))
			require.NoError(t, err)
			layers, err := attached.Layers()
			require.NoError(t, err)
			require.Len(t, layers, 1)
			r, err := layers[0].Compressed()
			require.NoError(t, err)
			text, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, string(a.sbom), string(text))
		})
	}
}

func TestPushSaysWhatIsWrong(t *testing.T) {
	require.ErrorContains(t, push(t.Context(), "nothing.tar", "Not A Reference"), "Not A Reference")
	require.ErrorIs(t, push(t.Context(), "nothing.tar", "registry.test/x:1"), fs.ErrNotExist)
	require.ErrorContains(t, push(t.Context(), "main.go", "registry.test/x:1"), "main.go")

	out := filepath.Join(t.TempDir(), "evil.tar")
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "../evil", Size: 1, Typeflag: tar.TypeReg}))
	_, err := w.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(out, buf.Bytes(), 0o600))
	require.ErrorContains(t, push(t.Context(), out, "registry.test/x:1"), "leads out of the archive")
}

func TestPackKeepsLinksAndDirectories(t *testing.T) {
	a, err := packed([]file{{path: "/bin/busybox", text: []byte("x"), mode: 0o755}, {path: "/bin/sh", link: "busybox"}}, "/bin/sh")
	require.NoError(t, err)
	entries := map[string]byte{}
	layers, err := a.image.Layers()
	require.NoError(t, err)
	r, err := layers[0].Uncompressed()
	require.NoError(t, err)
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		entries[header.Name] = header.Typeflag
	}
	require.Equal(t, map[string]byte{"bin/": tar.TypeDir, "bin/busybox": tar.TypeReg, "bin/sh": tar.TypeSymlink, "tmp/": tar.TypeDir}, entries)

	_, err = packed([]file{{path: "/a", text: []byte("1")}, {path: "a", text: []byte("2")}}, "")
	require.ErrorContains(t, err, "/a is there twice")
}

// content are the regular files of an image.
func content(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	r := mutate.Extract(image)
	defer r.Close()
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		if header.Typeflag == tar.TypeReg {
			files[header.Name], err = io.ReadAll(archive)
			require.NoError(t, err)
		}
	}
}
