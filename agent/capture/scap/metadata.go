package scap

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"riposte/agent/event"
)

// optional is a value that may be missing, or of another type in another recorder's
// file: then it is the zero value.
type optional[T any] struct{ v T }

// UnmarshalJSON never fails.
func (o *optional[T]) UnmarshalJSON(b []byte) error {
	if json.Unmarshal(b, &o.v) != nil {
		o.v = *new(T)
	}
	return nil
}

type probe struct {
	Exe  string   `json:"exe"`
	Args []string `json:"args"`
}

// described is what a container event says, as far as it is used.
type described struct {
	ID          string                           `json:"id"`
	FullID      string                           `json:"full_id"`
	Type        optional[int]                    `json:"type"`
	Name        string                           `json:"name"`
	Image       string                           `json:"image"`
	ImageID     string                           `json:"imageid"`
	Repository  string                           `json:"imagerepo"`
	Tag         string                           `json:"imagetag"`
	Digest      string                           `json:"imagedigest"`
	Privileged  bool                             `json:"privileged"`
	Labels      optional[map[string]string]      `json:"labels"`
	Sandbox     string                           `json:"pod_sandbox_id"`
	PodLabels   optional[map[string]string]      `json:"pod_sandbox_labels"`
	IP          optional[string]                 `json:"ip"`
	Env         optional[[]string]               `json:"env"`
	Created     optional[int64]                  `json:"created_time"`
	Mounts      optional[[]event.ContainerMount] `json:"Mounts"`
	HostPID     optional[*bool]                  `json:"host_pid"`
	HostNetwork optional[*bool]                  `json:"host_network"`
	HostIPC     optional[*bool]                  `json:"host_ipc"`
	Healthcheck optional[*probe]                 `json:"Healthcheck"`
	Liveness    optional[*probe]                 `json:"LivenessProbe"`
	Readiness   optional[*probe]                 `json:"ReadinessProbe"`
}

// runtimes are the numbers of container.type.
var runtimes = map[int]string{
	0: "docker", 1: "lxc", 2: "libvirt-lxc", 3: "mesos", 4: "rkt", 5: "custom", 6: "cri", 7: "containerd", 8: "cri-o", 9: "bpm", 10: "static", 11: "podman",
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
	for _, text := range []*string{&d.FullID, &d.ID, &d.Name, &d.Image, &d.ImageID, &d.Repository, &d.Tag, &d.Digest, &d.Sandbox, &d.IP.v} {
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
	known.Type, known.IP, known.CreatedNS = runtimes[d.Type.v], d.IP.v, d.Created.v*1_000_000_000
	known.HostPID, known.HostNetwork, known.HostIPC = told(d.HostPID.v), told(d.HostNetwork.v), told(d.HostIPC.v)
	known.Healthcheck, known.Liveness, known.Readiness = d.Healthcheck.v.line(), d.Liveness.v.line(), d.Readiness.v.line()
	c.details(known, d)
	known.Pod = d.pod(known)
	c.clock.ContainerChanged(known)
	return known, nil
}

// maxDetails bounds the lists of all containers together, in bytes.
const maxDetails = 16 << 20

// details takes over what comes in lists, as long as there is room.
func (c *containers) details(known *event.Container, d *described) {
	c.weight -= weigh(known.Mounts, known.Labels, known.Env)
	known.Mounts, known.Labels, known.Env = nil, nil, nil
	weight := weigh(d.Mounts.v, d.Labels.v, d.Env.v)
	if c.weight+weight > maxDetails {
		c.lost[lostDetails]++
		return
	}
	c.weight += weight
	known.Mounts, known.Labels, known.Env = d.Mounts.v, d.Labels.v, d.Env.v
}

func weigh(mounts []event.ContainerMount, labels map[string]string, env []string) int {
	n := 0
	for i := range mounts {
		m := &mounts[i]
		n += len(m.Source) + len(m.Destination) + len(m.Mode) + len(m.Propagation) + 5*wordBytes
	}
	for k, v := range labels {
		n += len(k) + len(v) + 4*wordBytes
	}
	for _, s := range env {
		n += len(s) + wordBytes
	}
	return n
}

// pod is the container's pod by its labels. Without a sandbox it is in none, as far
// as the event goes.
func (d *described) pod(known *event.Container) *event.Pod {
	name := d.Labels.v["io.kubernetes.pod.name"]
	if d.Sandbox == "" || name == "" {
		return known.Pod
	}
	p := &event.Pod{
		UID: clip(d.Labels.v["io.kubernetes.pod.uid"], maxField), Namespace: clip(d.Labels.v["io.kubernetes.pod.namespace"], maxField),
		Name: clip(name, maxField), SandboxID: d.Sandbox,
	}
	for _, k := range slices.Sorted(maps.Keys(d.PodLabels.v)) {
		if len(p.Labels) == maxLabels {
			break
		}
		if !strings.HasPrefix(k, "io.kubernetes.") {
			if p.Labels == nil {
				p.Labels = map[string]string{}
			}
			p.Labels[clip(k, maxField)] = clip(d.PodLabels.v[k], maxField)
		}
	}
	return p
}

// maxLabels bounds the labels of a pod: the API server allows far fewer.
const maxLabels = 64

func told(b *bool) event.Known {
	switch {
	case b == nil:
		return event.NotKnown
	case *b:
		return event.Yes
	}
	return event.No
}

// line is the probe's command, NONE without one, as in Falco.
func (p *probe) line() string {
	if p == nil {
		return "NONE"
	}
	return clip(strings.Join(append([]string{p.Exe}, p.Args...), " "), maxText)
}
