package main

import (
	"context"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push sends the image of an archive to a registry, under the user's reference,
// and after it what refers to it: the SBOM. Credentials are those of docker login
// or podman login (DOCKER_CONFIG, REGISTRY_AUTH_FILE).
func push(ctx context.Context, archive, to string) error {
	ref, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	from, err := readArchive(archive, dir)
	if err != nil {
		return err
	}
	index, err := from.ImageIndex()
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("riposte-image")}
	for i, descriptor := range manifest.Manifests {
		image, err := index.Image(descriptor.Digest)
		if err != nil {
			return err
		}
		// The first is the image, by our own order; the others are found by its digest.
		target := ref
		if i > 0 {
			target = ref.Context().Digest(descriptor.Digest.String())
		}
		if err := remote.Write(target, image, options...); err != nil {
			return fmt.Errorf("push %s: %w", target, err)
		}
		if i == 0 {
			fmt.Println(ref.Context().Digest(descriptor.Digest.String()))
		}
	}
	return nil
}
