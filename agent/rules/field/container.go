package field

import (
	"slices"
	"strconv"
	"strings"

	"riposte/agent/event"
)

var containerFields = []Field{
	{Name: "container.id", Type: Text, Scope: Container, Desc: "first 12 characters of the id, or host", get: ofContainer(func(c *event.Container) Value { return text(c.ShortID()) })},
	{Name: "container.full_id", Type: Text, Scope: Container, Desc: "whole id", get: ofContainer(func(c *event.Container) Value { return text(c.ID) })},
	{Name: "container.name", Type: Text, Scope: Container, Desc: "name, or host", get: ofContainer(func(c *event.Container) Value {
		if c.ID == "" {
			return text("host")
		}
		return text(c.Name)
	})},
	{Name: "container.image", Type: Text, Scope: Container, Desc: "image as it was asked for", get: ofContainer(func(c *event.Container) Value { return text(c.Image) })},
	{Name: "container.image.repository", Type: Text, Scope: Container, Desc: "image without tag", get: ofContainer(func(c *event.Container) Value { return text(c.Repository) })},
	{Name: "container.image.tag", Type: Text, Scope: Container, Desc: "tag of the image", get: ofContainer(func(c *event.Container) Value { return text(c.Tag) })},
	{Name: "container.image.id", Type: Text, Scope: Container, Desc: "id of the image", get: ofContainer(func(c *event.Container) Value { return text(c.ImageID) })},
	{Name: "container.image.digest", Type: Text, Scope: Container, Desc: "digest of the image", get: ofContainer(func(c *event.Container) Value { return text(c.ImageDigest) })},
	{Name: "container.type", Type: Text, Scope: Container, Desc: "runtime, or host", get: ofContainer(func(c *event.Container) Value {
		if c.ID == "" {
			return text("host")
		}
		return text(c.Type)
	})},
	{Name: "container.privileged", Type: Bool, Scope: Container, Desc: "the container has all rights", get: ofContainer(func(c *event.Container) Value { return known(c.Privileged) })},
	{Name: "container.mounts", Type: Text, Scope: Container, Desc: "all mounts, each as source:destination:mode:writable:propagation", get: ofContainer(allMounts)},
	{Name: "container.mount", Type: Text, Arg: RequiredText, Scope: Container, Desc: "one mount, by number or by its source, which may be a pattern", get: ofMount(bySource, mountText)},
	{Name: "container.mount.source", Type: Text, Arg: RequiredText, Scope: Container, Desc: "source of one mount, by number or destination", get: ofMount(byDestination, func(m *event.ContainerMount) string { return m.Source })},
	{Name: "container.mount.dest", Type: Text, Arg: RequiredText, Scope: Container, Desc: "destination of one mount, by number or source", get: ofMount(bySource, func(m *event.ContainerMount) string { return m.Destination })},
	{Name: "container.mount.mode", Type: Text, Arg: RequiredText, Scope: Container, Desc: "mode of one mount, by number or source", get: ofMount(bySource, func(m *event.ContainerMount) string { return m.Mode })},
	{Name: "container.mount.rdwr", Type: Text, Arg: RequiredText, Scope: Container, Desc: "true if one mount is writable, else false, by number or source", get: ofMount(bySource, func(m *event.ContainerMount) string { return strconv.FormatBool(m.RW) })},
	{Name: "container.mount.propagation", Type: Text, Arg: RequiredText, Scope: Container, Desc: "propagation of one mount, by number or source", get: ofMount(bySource, func(m *event.ContainerMount) string { return m.Propagation })},
	{Name: "container.ip", Type: Text, Scope: Container, Desc: "address of the container", get: ofContainer(func(c *event.Container) Value { return text(c.IP) })},
	{Name: "container.cni.json", Type: Text, Scope: Container, Desc: "network of the container"},
	{Name: "container.start_ts", Type: Uint64, Scope: Event, Desc: "start of the container, nanoseconds since 1970", get: containerStart},
	{Name: "container.duration", Type: Uint64, Scope: Event, Desc: "age of the container in nanoseconds", get: containerAge},
	{Name: "container.healthcheck", Type: Text, Scope: Container, Flags: Deprecated, Desc: "health check of the container", get: ofContainer(func(c *event.Container) Value { return text(c.Healthcheck) })},
	{Name: "container.liveness_probe", Type: Text, Scope: Container, Flags: Deprecated, Desc: "liveness probe of the container", get: ofContainer(func(c *event.Container) Value { return text(c.Liveness) })},
	{Name: "container.readiness_probe", Type: Text, Scope: Container, Flags: Deprecated, Desc: "readiness probe of the container", get: ofContainer(func(c *event.Container) Value { return text(c.Readiness) })},
	{Name: "container.host_pid", Type: Bool, Scope: Container, Desc: "the container shares the host's processes", get: ofContainer(func(c *event.Container) Value { return known(c.HostPID) })},
	{Name: "container.host_network", Type: Bool, Scope: Container, Desc: "the container shares the host's network", get: ofContainer(func(c *event.Container) Value { return known(c.HostNetwork) })},
	{Name: "container.host_ipc", Type: Bool, Scope: Container, Desc: "the container shares the host's IPC", get: ofContainer(func(c *event.Container) Value { return known(c.HostIPC) })},
	{Name: "container.label", Type: Text, Arg: RequiredText, Scope: Container, Desc: "one label", get: func(e *event.Event, a Argument, _ int) Value {
		if e.Proc == nil || e.Proc.Container == nil {
			return Value{}
		}
		return text(e.Proc.Container.Labels[a.Text])
	}},
	{Name: "container.labels", Type: Text, Scope: Container, Desc: "all labels", get: ofContainer(func(c *event.Container) Value { return text(labels(c.Labels)) })},
	{Name: "proc.is_container_healthcheck", Type: Bool, Scope: Process, Flags: Deprecated, Desc: "the process is a health check, or was started by one", get: ofCheck(func(c *event.Container) string { return c.Healthcheck })},
	{Name: "proc.is_container_liveness_probe", Type: Bool, Scope: Process, Flags: Deprecated, Desc: "the process is a liveness probe, or was started by one", get: ofCheck(func(c *event.Container) string { return c.Liveness })},
	{Name: "proc.is_container_readiness_probe", Type: Bool, Scope: Process, Flags: Deprecated, Desc: "the process is a readiness probe, or was started by one", get: ofCheck(func(c *event.Container) string { return c.Readiness })},
	{Name: "k8s.ns.name", Type: Text, Scope: Container, Desc: "namespace of the pod", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(p.Namespace) })},
	{Name: "k8s.pod.name", Type: Text, Scope: Container, Desc: "name of the pod", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(p.Name) })},
	{Name: "k8s.pod.id", Type: Text, Scope: Container, Desc: "uid of the pod", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(p.UID) })},
	{Name: "k8s.pod.uid", Type: Text, Scope: Container, Desc: "uid of the pod", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(p.UID) })},
	{Name: "k8s.pod.full_sandbox_id", Type: Text, Scope: Container, Desc: "id of the pod's sandbox", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(p.SandboxID) })},
	{Name: "k8s.pod.sandbox_id", Type: Text, Scope: Container, Desc: "first 12 characters of the sandbox's id", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(p.SandboxID[:min(len(p.SandboxID), 12)]) })},
	{Name: "k8s.pod.ip", Type: Text, Scope: Container, Desc: "address of the pod", get: ofContainer(func(c *event.Container) Value {
		if c.Pod == nil {
			return Value{}
		}
		return text(c.IP)
	})},
	{Name: "k8s.pod.label", Type: Text, Arg: RequiredText, Scope: Container, Desc: "one label of the pod", get: ofPod(func(p *event.Pod, a Argument) Value { return text(p.Labels[a.Text]) })},
	{Name: "k8s.pod.labels", Type: Text, Scope: Container, Desc: "all labels of the pod", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(labels(p.Labels)) })},
	{Name: "k8s.pod.cni.json", Type: Text, Scope: Container, Desc: "network of the pod"},
	{Name: "k8s.deployment.name", Type: Text, Scope: Container, Flags: Deprecated, Desc: "deployment"},
	{Name: "k8s.deployment.id", Type: Text, Scope: Container, Flags: Deprecated, Desc: "uid of the deployment"},
	{Name: "k8s.deployment.label", Type: Text, Arg: RequiredText, Scope: Container, Flags: Deprecated, Desc: "one label of the deployment"},
	{Name: "k8s.deployment.labels", Type: Text, Scope: Container, Flags: Deprecated, Desc: "labels of the deployment"},
	{Name: "k8s.rs.name", Type: Text, Scope: Container, Flags: Deprecated, Desc: "replica set"},
	{Name: "k8s.rs.id", Type: Text, Scope: Container, Flags: Deprecated, Desc: "uid of the replica set"},
	{Name: "k8s.rs.label", Type: Text, Arg: RequiredText, Scope: Container, Flags: Deprecated, Desc: "one label of the replica set"},
	{Name: "k8s.rs.labels", Type: Text, Scope: Container, Flags: Deprecated, Desc: "labels of the replica set"},
	{Name: "k8s.rc.name", Type: Text, Scope: Container, Flags: Deprecated, Desc: "replication controller"},
	{Name: "k8s.rc.id", Type: Text, Scope: Container, Flags: Deprecated, Desc: "uid of the replication controller"},
	{Name: "k8s.rc.label", Type: Text, Arg: RequiredText, Scope: Container, Flags: Deprecated, Desc: "one label of the replication controller"},
	{Name: "k8s.rc.labels", Type: Text, Scope: Container, Flags: Deprecated, Desc: "labels of the replication controller"},
	{Name: "k8s.svc.name", Type: Text, Scope: Container, Flags: Deprecated, Desc: "service"},
	{Name: "k8s.svc.id", Type: Text, Scope: Container, Flags: Deprecated, Desc: "uid of the service"},
	{Name: "k8s.svc.label", Type: Text, Arg: RequiredText, Scope: Container, Flags: Deprecated, Desc: "one label of the service"},
	{Name: "k8s.svc.labels", Type: Text, Scope: Container, Flags: Deprecated, Desc: "labels of the service"},
	{Name: "k8s.ns.id", Type: Text, Scope: Container, Flags: Deprecated, Desc: "uid of the namespace"},
	{Name: "k8s.ns.label", Type: Text, Arg: RequiredText, Scope: Container, Flags: Deprecated, Desc: "one label of the namespace"},
	{Name: "k8s.ns.labels", Type: Text, Scope: Container, Flags: Deprecated, Desc: "labels of the namespace"},
}

func labels(m map[string]string) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		keys[i] = k + ":" + m[k]
	}
	return strings.Join(keys, ", ")
}

func known(k event.Known) Value {
	return Value{OK: k != event.NotKnown, Int: truth(k == event.Yes).Int}
}

// containerBegan is when the container started, Unix nanoseconds: as its runtime says,
// or its namespace, or its first process that was seen; 0 for nothing of it.
func containerBegan(e *event.Event) int64 {
	if e.Proc == nil || e.Proc.Container == nil || e.Proc.Container.ID == "" {
		return 0
	}
	c, r := e.Proc.Container, e.Proc.Resources
	switch {
	case c.StartTS != 0:
		return c.StartTS
	case r != nil && r.NamespaceStartNS != 0:
		return int64(r.NamespaceStartNS)
	case c.StartNS != 0:
		return e.TimeNS - int64(e.KernelNS) + int64(c.StartNS)
	}
	return 0
}

func containerStart(e *event.Event, _ Argument, _ int) Value {
	began := containerBegan(e)
	return Value{OK: began != 0, Int: began}
}

func containerAge(e *event.Event, _ Argument, _ int) Value {
	began := containerBegan(e)
	if began == 0 || e.TimeNS < began {
		return Value{}
	}
	return number(e.TimeNS - began)
}
