package runtime

import (
	"strings"
	"time"

	"riposte/agent/event"
)

// dockerRecord is what is read of GET /containers/{id}/json.
type dockerRecord struct {
	Name, Image, Created string
	State                struct{ StartedAt string }
	Config               struct {
		Image       string
		Env         []string
		Labels      map[string]string
		Healthcheck *struct{ Test []string }
	}
	HostConfig struct {
		Privileged                    bool
		NetworkMode, PidMode, IpcMode string
	}
	Mounts []struct {
		Source, Destination, Mode, Propagation string
		RW                                     bool
	}
	NetworkSettings struct {
		IPAddress string
		Networks  map[string]struct{ IPAddress string }
	}
}

func (r *dockerRecord) container(kind string) *event.Container {
	c := &event.Container{
		Metadata: event.MetadataKnown, Type: kind, Name: strings.TrimPrefix(r.Name, "/"),
		Labels: r.Config.Labels, Env: r.Config.Env, Privileged: known(r.HostConfig.Privileged),
		HostNetwork: known(r.HostConfig.NetworkMode == "host"), HostPID: known(r.HostConfig.PidMode == "host"), HostIPC: known(r.HostConfig.IpcMode == "host"),
		CreatedNS: unixNano(r.Created), StartTS: unixNano(r.State.StartedAt), IP: r.NetworkSettings.IPAddress, Pod: podOf(r.Config.Labels),
	}
	setImage(c, r.Config.Image)
	for _, n := range r.NetworkSettings.Networks {
		if c.IP == "" {
			c.IP = n.IPAddress
		}
	}
	for _, m := range r.Mounts {
		c.Mounts = append(c.Mounts, event.ContainerMount{Source: m.Source, Destination: m.Destination, Mode: m.Mode, RW: m.RW, Propagation: m.Propagation})
	}
	if h := r.Config.Healthcheck; h != nil {
		c.Healthcheck = healthcheck(h.Test)
	}
	return c
}

// healthcheck is a check's command line. "NONE" switches off that of the image.
func healthcheck(test []string) string {
	if len(test) < 2 {
		return ""
	}
	switch test[0] {
	case "CMD":
		return strings.Join(test[1:], " ")
	case "CMD-SHELL":
		return "/bin/sh -c " + test[1]
	}
	return ""
}

// unixNano reads a time; year 1 stands for never.
func unixNano(s string) int64 {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.Year() < 1970 {
		return 0
	}
	return t.UnixNano()
}

func known(yes bool) event.Known {
	if yes {
		return event.Yes
	}
	return event.No
}
