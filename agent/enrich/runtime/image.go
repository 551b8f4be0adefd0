package runtime

import (
	"strings"

	"riposte/agent/event"
)

// setImage takes an image reference apart: [registry/]repository[:tag][@digest]. A
// colon before the last slash belongs to the registry's port.
func setImage(c *event.Container, ref string) {
	c.Image = ref
	name, digest, _ := strings.Cut(ref, "@")
	if c.ImageDigest == "" {
		c.ImageDigest = digest
	}
	c.Repository, c.Tag = name, ""
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		c.Repository, c.Tag = name[:i], name[i+1:]
	}
}

// isImageID says that a reference is no name, but the hash of an image's
// configuration.
func isImageID(ref string) bool {
	ref = strings.TrimPrefix(ref, "sha256:")
	if len(ref) != 64 {
		return false
	}
	return strings.Trim(ref, "0123456789abcdef") == ""
}

// setIdentity fills in what the runtime's record of the image says.
func setIdentity(c *event.Container, id string, tags, digests []string) {
	c.ImageID = strings.TrimPrefix(id, "sha256:")
	if (c.Image == "" || isImageID(c.Image)) && len(tags) > 0 {
		setImage(c, tags[0])
	}
	if c.ImageDigest != "" {
		return
	}
	// Of several registries' digests the one of the image's own repository counts.
	for _, d := range digests {
		repository, digest, _ := strings.Cut(d, "@")
		if c.ImageDigest == "" || repository == c.Repository {
			c.ImageDigest = digest
		}
	}
}

// Bounds of what is kept of one container's metadata.
const (
	maxItems = 256
	maxText  = 4096
)

// bound cuts what is too long. Whoever starts a container chooses its labels and
// environment.
func bound(c *event.Container) {
	for _, s := range []*string{
		&c.Name, &c.Image, &c.Repository, &c.Tag, &c.ImageID, &c.ImageDigest, &c.IP, &c.Healthcheck,
	} {
		*s = cut(*s)
	}
	c.Labels = boundMap(c.Labels)
	c.Env = c.Env[:min(len(c.Env), maxItems)]
	for i, v := range c.Env {
		c.Env[i] = cut(v)
	}
	c.Mounts = c.Mounts[:min(len(c.Mounts), maxItems)]
	for i := range c.Mounts {
		m := &c.Mounts[i]
		m.Source, m.Destination, m.Mode, m.Propagation = cut(m.Source), cut(m.Destination), cut(m.Mode), cut(m.Propagation)
	}
	if c.Pod != nil {
		c.Pod.Labels = boundMap(c.Pod.Labels)
	}
}

func boundMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]string, min(len(m), maxItems))
	for k, v := range m {
		if len(out) == maxItems {
			break
		}
		out[cut(k)] = cut(v)
	}
	return out
}

// cut copies a text that is too long, so that the rest of it is not kept.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(strings.Clone(s[:maxText]), "")
}
