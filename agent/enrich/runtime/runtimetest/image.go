//go:build linux

package runtimetest

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Image is the name of the tests' image. Its one program reads the files that it is
// given as arguments and waits to be stopped; see tiny.
const Image = "riposte.test:5000/tools/tiny:1.0"

// Passwd is the image's /etc/passwd.
const Passwd = "root:x:0:0:root:/root:/bin/sh\nkeeper:x:1234:4321:Keeper:/srv/keeper:/bin/keep\n"

// Group is the image's /etc/group.
const Group = "root:x:0:\nkeepers:x:4321:\n"

// archive writes the image as both "docker load" and "ctr images import" read it, and
// returns the file and the image's id.
func archive(t *testing.T) (file, id string) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "tiny")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "riposte/agent/enrich/runtime/runtimetest/tiny")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	program, err := os.ReadFile(binary)
	require.NoError(t, err)

	layer := pack(t, []entry{
		{"etc/", 0o755, nil}, {"etc/passwd", 0o644, []byte(Passwd)}, {"etc/group", 0o644, []byte(Group)}, {"tmp/", 0o777, nil}, {"tiny", 0o755, program},
	})
	config := encode(t, map[string]any{
		"architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z",
		"config": map[string]any{"Entrypoint": []string{"/tiny"}, "Env": []string{"PATH=/", "IN_IMAGE=yes"}, "Labels": map[string]string{"from": "image"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + sum(layer)}},
	})
	manifest := encode(t, []map[string]any{{"Config": sum(config) + ".json", "RepoTags": []string{Image}, "Layers": []string{"layer.tar"}}})
	file = filepath.Join(dir, "image.tar")
	whole := pack(t, []entry{{"manifest.json", 0o644, manifest}, {sum(config) + ".json", 0o644, config}, {"layer.tar", 0o644, layer}})
	require.NoError(t, os.WriteFile(file, whole, 0o600))
	return file, sum(config)
}

type entry struct {
	name    string
	mode    int64
	content []byte
}

func pack(t *testing.T, entries []entry) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		kind := byte(tar.TypeReg)
		if e.name[len(e.name)-1] == '/' {
			kind = tar.TypeDir
		}
		require.NoError(t, w.WriteHeader(&tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.content)), Typeflag: kind}))
		_, err := w.Write(e.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func encode(t *testing.T, v any) []byte {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}
