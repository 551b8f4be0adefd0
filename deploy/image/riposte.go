package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// about is what the labels say.
type about struct {
	version, revision string
	created           time.Time
	// packageLock is the console's package-lock.json; without it the SBOM lists
	// nothing of the console.
	packageLock string
}

// artifact is an image and what belongs to it.
type artifact struct {
	name  string // under which it is loaded
	image v1.Image
	sbom  []byte // SPDX 2.3; nil if it has none
}

// nobody is who runs when a pod does not say another user: nobody's number in
// distroless images, which clusters' policies know.
const nobody = 65532

// riposte is the image of Riposte: the binary, the roots of public certificate
// authorities (for webhooks), and users' names. No shell, no package manager.
func riposte(binary string, is about) (artifact, error) {
	text, err := os.ReadFile(binary)
	if err != nil {
		return artifact{}, err
	}
	info, err := buildinfo.Read(bytes.NewReader(text))
	if err != nil {
		return artifact{}, fmt.Errorf("%s: %w", binary, err)
	}
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	if setting["CGO_ENABLED"] != "0" {
		return artifact{}, fmt.Errorf("%s is not static: build it with CGO_ENABLED=0", binary)
	}
	if setting["-trimpath"] != "true" {
		return artifact{}, fmt.Errorf("%s names folders of the machine that built it: build it with -trimpath", binary)
	}
	layer, err := layerOf([]file{
		{path: "/usr/bin/riposte", text: text, mode: 0o755},
		{path: "/etc/passwd", text: fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:%[1]d:%[1]d:nonroot:/:/sbin/nologin\n", nobody), mode: 0o644},
		{path: "/etc/group", text: fmt.Appendf(nil, "root:x:0:\nnonroot:x:%d:\n", nobody), mode: 0o644},
		{path: "/etc/ssl/certs/ca-certificates.crt", text: roots(), mode: 0o644},
		{path: "/tmp", mode: 0o1777},
	})
	if err != nil {
		return artifact{}, err
	}
	labels := map[string]string{
		"org.opencontainers.image.title":       "Riposte",
		"org.opencontainers.image.description": "Detects what a compromised container does, and acts",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     is.version,
		"org.opencontainers.image.created":     is.created.Format(time.RFC3339),
	}
	if is.revision != "" {
		labels["org.opencontainers.image.revision"] = is.revision
	}
	image, err := imageOf(layer, v1.ConfigFile{
		Architecture: setting["GOARCH"], OS: setting["GOOS"], Created: v1.Time{Time: is.created},
		Config: v1.Config{
			Entrypoint: []string{"/usr/bin/riposte"}, User: fmt.Sprintf("%[1]d:%[1]d", nobody),
			Env: []string{"PATH=/usr/bin"}, WorkingDir: "/", Labels: labels,
		},
	})
	if err != nil {
		return artifact{}, err
	}
	annotated, ok := mutate.Annotations(image, labels).(v1.Image)
	if !ok {
		return artifact{}, errors.New("the annotated image is no image")
	}
	var console []spdxPackage
	if is.packageLock != "" {
		if console, err = npmPackages(is.packageLock); err != nil {
			return artifact{}, err
		}
	}
	sbom, err := spdx(text, info, console, is)
	return artifact{image: annotated, sbom: sbom}, err
}

// packed is an image for tests.
func packed(files []file, entrypoint string) (artifact, error) {
	layer, err := layerOf(append(files, file{path: "/tmp", mode: 0o1777}))
	if err != nil {
		return artifact{}, err
	}
	config := v1.Config{Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	if entrypoint != "" {
		config.Entrypoint = []string{entrypoint}
	}
	image, err := imageOf(layer, v1.ConfigFile{Architecture: runtime.GOARCH, OS: "linux", Config: config})
	return artifact{image: image}, err
}

// imageOf is an OCI image of one layer.
func imageOf(layer v1.Layer, config v1.ConfigFile) (v1.Image, error) {
	config.RootFS.Type = "layers"
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.ConfigFile(base, &config)
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: config.Created, CreatedBy: "image build"},
	})
}

// roots are Mozilla's certificate authorities, at the version that go.sum pins:
// those of the building machine would make another image on each.
func roots() []byte {
	var buf bytes.Buffer
	for root := range bundle.Roots() {
		// A root with conditions cannot be said in this format.
		if root.Constraint == nil {
			_ = pem.Encode(&buf, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return buf.Bytes()
}
