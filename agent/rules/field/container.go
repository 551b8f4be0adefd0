package field

import (
	"slices"
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
	{Name: "container.type", Type: Text, Scope: Container, Desc: "runtime"},
	{Name: "container.privileged", Type: Bool, Scope: Container, Desc: "the container has all rights", get: ofContainer(func(c *event.Container) Value {
		return Value{OK: c.Privileged != event.NotKnown, Int: truth(c.Privileged == event.Yes).Int}
	})},
	{Name: "container.mounts", Type: Text, Scope: Container, Desc: "all mounts"},
	{Name: "container.mount", Type: Text, Arg: RequiredText, Scope: Container, Desc: "one mount"},
	{Name: "container.mount.source", Type: Text, Arg: RequiredText, Scope: Container, Desc: "source of one mount"},
	{Name: "container.mount.dest", Type: Text, Arg: RequiredText, Scope: Container, Desc: "destination of one mount"},
	{Name: "container.mount.mode", Type: Text, Arg: RequiredText, Scope: Container, Desc: "mode of one mount"},
	{Name: "container.mount.rdwr", Type: Text, Arg: RequiredText, Scope: Container, Desc: "whether one mount is writable"},
	{Name: "container.mount.propagation", Type: Text, Arg: RequiredText, Scope: Container, Desc: "propagation of one mount"},
	{Name: "container.ip", Type: Text, Scope: Container, Desc: "address of the container"},
	{Name: "container.cni.json", Type: Text, Scope: Container, Desc: "network of the container"},
	{Name: "container.start_ts", Type: Uint64, Scope: Event, Desc: "start of the container, nanoseconds since 1970", get: containerStart},
	{Name: "container.duration", Type: Uint64, Scope: Event, Desc: "age of the container in nanoseconds", get: containerAge},
	{Name: "container.healthcheck", Type: Text, Scope: Container, Flags: Deprecated, Desc: "health check of the container"},
	{Name: "container.liveness_probe", Type: Text, Scope: Container, Flags: Deprecated, Desc: "liveness probe of the container"},
	{Name: "container.readiness_probe", Type: Text, Scope: Container, Flags: Deprecated, Desc: "readiness probe of the container"},
	{Name: "container.host_pid", Type: Bool, Scope: Container, Desc: "the container shares the host's processes"},
	{Name: "container.host_network", Type: Bool, Scope: Container, Desc: "the container shares the host's network"},
	{Name: "container.host_ipc", Type: Bool, Scope: Container, Desc: "the container shares the host's IPC"},
	{Name: "container.label", Type: Text, Arg: RequiredText, Scope: Container, Desc: "one label"},
	{Name: "container.labels", Type: Text, Scope: Container, Desc: "all labels"},
	{Name: "proc.is_container_healthcheck", Type: Bool, Scope: Process, Flags: Deprecated, Desc: "the process is a health check"},
	{Name: "proc.is_container_liveness_probe", Type: Bool, Scope: Process, Flags: Deprecated, Desc: "the process is a liveness probe"},
	{Name: "proc.is_container_readiness_probe", Type: Bool, Scope: Process, Flags: Deprecated, Desc: "the process is a readiness probe"},
	{Name: "k8s.ns.name", Type: Text, Scope: Container, Desc: "namespace of the pod", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(p.Namespace) })},
	{Name: "k8s.pod.name", Type: Text, Scope: Container, Desc: "name of the pod", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(p.Name) })},
	{Name: "k8s.pod.id", Type: Text, Scope: Container, Desc: "uid of the pod", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(p.UID) })},
	{Name: "k8s.pod.uid", Type: Text, Scope: Container, Desc: "uid of the pod", get: ofPod(func(p *event.Pod, _ Argument) Value { return text(p.UID) })},
	{Name: "k8s.pod.full_sandbox_id", Type: Text, Scope: Container, Desc: "id of the pod's sandbox"},
	{Name: "k8s.pod.sandbox_id", Type: Text, Scope: Container, Desc: "first 12 characters of the sandbox's id"},
	{Name: "k8s.pod.ip", Type: Text, Scope: Container, Desc: "address of the pod"},
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

func containerStart(e *event.Event, _ Argument, _ int) Value {
	if e.Proc == nil || e.Proc.Container == nil || e.Proc.Container.StartNS == 0 {
		return Value{}
	}
	return number(e.TimeNS - int64(e.KernelNS) + int64(e.Proc.Container.StartNS))
}

func containerAge(e *event.Event, _ Argument, _ int) Value {
	if e.Proc == nil || e.Proc.Container == nil || e.Proc.Container.StartNS == 0 || e.KernelNS < e.Proc.Container.StartNS {
		return Value{}
	}
	return number(e.KernelNS - e.Proc.Container.StartNS)
}
