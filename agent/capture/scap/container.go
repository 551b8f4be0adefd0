package scap

import (
	"encoding/json"
	"errors"
	"strings"

	"riposte/agent/enrich"
	"riposte/agent/event"
)

const (
	maxContainers = 1 << 16
	maxCgroups    = 1 << 14
	// maxField bounds each text of a container.
	maxField = 1024
)

// containers are known by the first characters of their ids.
type containers struct {
	byID map[string]*event.Container
	// byCgroups remembers what a process's cgroups led to.
	byCgroups map[string]*event.Container
}

func newContainers() containers {
	return containers{byID: map[string]*event.Container{}, byCgroups: map[string]*event.Container{}}
}

// of finds the container of a list of cgroups: "subsystem=path", each ending in NUL.
func (c *containers) of(cgroups []byte, startNS uint64) *event.Container {
	if known, ok := c.byCgroups[string(cgroups)]; ok {
		return known
	}
	found := event.Host
	for _, group := range words(cgroups) {
		_, path, _ := strings.Cut(group, "=")
		id, pod := enrich.ParseCgroup(path)
		if id == "" {
			continue
		}
		found = c.add(id)
		found.ID = id
		if found.Cgroup == "" {
			found.Cgroup, found.StartNS = clip(path, maxText), startNS
		}
		if pod != "" && found.Pod == nil {
			found.Pod = &event.Pod{UID: pod}
		}
		break
	}
	if len(c.byCgroups) >= maxCgroups {
		clear(c.byCgroups)
	}
	if len(cgroups) <= maxText {
		c.byCgroups[string(cgroups)] = found
	}
	return found
}

func (c *containers) add(id string) *event.Container {
	known := c.byID[short(id)]
	if known == nil {
		known = &event.Container{ID: id}
		if len(c.byID) < maxContainers {
			c.byID[short(id)] = known
		}
	}
	return known
}

// described is what a container event says, as far as it is used.
type described struct {
	ID         string            `json:"id"`
	FullID     string            `json:"full_id"`
	Name       string            `json:"name"`
	Image      string            `json:"image"`
	ImageID    string            `json:"imageid"`
	Repository string            `json:"imagerepo"`
	Tag        string            `json:"imagetag"`
	Digest     string            `json:"imagedigest"`
	Privileged bool              `json:"privileged"`
	Labels     map[string]string `json:"labels"`
	Sandbox    string            `json:"pod_sandbox_id"`
}

var errNoContainer = errors.New("the event names no container")

// describe takes over the runtime's metadata.
func (c *containers) describe(text []byte) (*event.Container, error) {
	var e struct {
		Container described `json:"container"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, err
	}
	d := &e.Container
	for _, text := range []*string{&d.FullID, &d.ID, &d.Name, &d.Image, &d.ImageID, &d.Repository, &d.Tag, &d.Digest} {
		*text = clip(*text, maxField)
	}
	id := d.FullID
	if id == "" {
		id = d.ID
	}
	if id == "" || id == "host" {
		return nil, errNoContainer
	}
	known := c.add(id)
	if len(id) > len(known.ID) {
		known.ID = id
	}
	known.Name, known.Image, known.Repository, known.Tag = d.Name, d.Image, d.Repository, d.Tag
	known.ImageID, known.ImageDigest = d.ImageID, d.Digest
	known.Privileged = event.No
	if d.Privileged {
		known.Privileged = event.Yes
	}
	if name := d.Labels["io.kubernetes.pod.name"]; d.Sandbox != "" && name != "" {
		known.Pod = &event.Pod{
			UID: clip(d.Labels["io.kubernetes.pod.uid"], maxField), Namespace: clip(d.Labels["io.kubernetes.pod.namespace"], maxField),
			Name: clip(name, maxField),
		}
	}
	return known, nil
}
