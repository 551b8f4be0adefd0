package runtime

import (
	"encoding/json"
	"path"
	"slices"
	"strings"

	apievents "github.com/containerd/containerd/api/events"
	containers "github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/types"

	"riposte/agent/event"
)

// subject is the container that an event is about.
func subject(e *types.Envelope) string {
	var made apievents.ContainerCreate
	if e.GetEvent().MessageIs(&made) && e.GetEvent().UnmarshalTo(&made) == nil {
		return made.GetID()
	}
	var task apievents.TaskCreate
	if e.GetEvent().MessageIs(&task) && e.GetEvent().UnmarshalTo(&task) == nil {
		return task.GetContainerID()
	}
	return ""
}

// ociSpec is what is read of a container's OCI runtime specification.
// https://github.com/opencontainers/runtime-spec/blob/main/config.md
type ociSpec struct {
	Process struct {
		Env []string `json:"env"`
	} `json:"process"`
	Mounts []struct {
		Destination string   `json:"destination"`
		Source      string   `json:"source"`
		Type        string   `json:"type"`
		Options     []string `json:"options"`
	} `json:"mounts"`
	Linux struct {
		CgroupsPath string `json:"cgroupsPath"`
		Namespaces  []struct {
			Type string `json:"type"`
			Path string `json:"path"`
		} `json:"namespaces"`
	} `json:"linux"`
}

func containerdRecord(r *containers.Container) *event.Container {
	c := &event.Container{
		Metadata: event.MetadataKnown, Type: "containerd", Name: r.GetID(), Labels: r.GetLabels(), CreatedNS: r.GetCreatedAt().AsTime().UnixNano(),
	}
	if name := r.GetLabels()["nerdctl/name"]; name != "" {
		c.Name = name
	}
	if r.GetImage() != "" {
		setImage(c, r.GetImage())
	}
	var spec ociSpec
	// A part of another type leaves the rest as it is.
	_ = json.Unmarshal(r.GetSpec().GetValue(), &spec)
	if len(spec.Linux.Namespaces) == 0 {
		return c // no specification: every container has a namespace of mounts
	}
	c.Env, c.Cgroup = spec.Process.Env, cgroupOf(spec.Linux.CgroupsPath)
	c.HostNetwork, c.HostPID, c.HostIPC = event.Yes, event.Yes, event.Yes
	for _, n := range spec.Linux.Namespaces {
		switch n.Type {
		case "network":
			c.HostNetwork = event.No
		case "pid":
			c.HostPID = event.No
		case "ipc":
			c.HostIPC = event.No
		}
	}
	for _, m := range spec.Mounts {
		if m.Type != "bind" {
			continue // what every container has: /proc, /sys and the like
		}
		mount := event.ContainerMount{Source: m.Source, Destination: m.Destination, RW: !slices.Contains(m.Options, "ro"), Propagation: "rprivate"}
		for _, o := range m.Options {
			if strings.HasSuffix(o, "shared") || strings.HasSuffix(o, "slave") || strings.HasSuffix(o, "private") {
				mount.Propagation = o
			}
		}
		c.Mounts = append(c.Mounts, mount)
	}
	return c
}

// cgroupOf is the path of a container's cgroup below the root: given as it is, or for
// systemd as slice:prefix:name. It is empty where only runc itself knows it.
func cgroupOf(given string) string {
	if strings.HasPrefix(given, "/") {
		return path.Clean(given)
	}
	parts := strings.Split(given, ":")
	if len(parts) != 3 {
		return ""
	}
	slice, ok := strings.CutSuffix(parts[0], ".slice")
	if parts[0] == "" {
		slice, ok = "system", true // runc's default
	}
	if !ok {
		return ""
	}
	// a-b.slice is in a.slice.
	var dir strings.Builder
	for i, r := range slice + "-" {
		if r == '-' && i > 0 {
			dir.WriteString("/" + slice[:i] + ".slice")
		}
	}
	unit := parts[2]
	if !strings.HasSuffix(unit, ".slice") {
		unit = strings.TrimPrefix(parts[1]+"-"+unit, "-") + ".scope"
	}
	return path.Clean(dir.String() + "/" + unit)
}
