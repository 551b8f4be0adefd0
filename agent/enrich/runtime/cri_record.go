package runtime

import (
	"encoding/json"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"riposte/agent/event"
)

// criInfo is what is read of the JSON that containerd and CRI-O add to a verbose
// status. It is no part of the interface, so any of it may be missing.
type criInfo struct {
	SandboxID  string `json:"sandboxID"`
	Privileged *bool  `json:"privileged"` // CRI-O
	Config     struct {
		Envs []struct {
			Key   string `json:"key"`
			Value string `json:"value"`
		} `json:"envs"`
		Linux struct {
			SecurityContext *struct {
				Privileged bool `json:"privileged"`
			} `json:"security_context"`
		} `json:"linux"`
	} `json:"config"` // containerd: what kubelet asked for
	RuntimeSpec struct {
		Process struct {
			Env []string `json:"env"`
		} `json:"process"`
	} `json:"runtimeSpec"`
}

func parseInfo(info map[string]string) criInfo {
	var parsed criInfo
	// A part of another type leaves the rest as it is.
	_ = json.Unmarshal([]byte(info["info"]), &parsed)
	return parsed
}

func (i *criInfo) privileged() event.Known {
	switch {
	case i.Privileged != nil:
		return known(*i.Privileged)
	case i.Config.Linux.SecurityContext != nil:
		return known(i.Config.Linux.SecurityContext.Privileged)
	case i.SandboxID != "":
		// containerd has no security context where kubelet gave none.
		return event.No
	}
	return event.NotKnown
}

// env prefers the OCI specification, which has the image's variables too.
func (i *criInfo) env() []string {
	if len(i.RuntimeSpec.Process.Env) > 0 {
		return i.RuntimeSpec.Process.Env
	}
	var all []string
	for _, e := range i.Config.Envs {
		all = append(all, e.Key+"="+e.Value)
	}
	return all
}

func containerOf(s *cri.ContainerStatus, info criInfo) *event.Container {
	c := &event.Container{
		Metadata: event.MetadataKnown, Name: s.GetMetadata().GetName(), Labels: s.GetLabels(), CreatedNS: s.GetCreatedAt(), StartTS: s.GetStartedAt(),
		Privileged: info.privileged(), Env: info.env(), Pod: podOf(s.GetLabels()),
	}
	image := s.GetImage().GetUserSpecifiedImage()
	if image == "" {
		image = s.GetImage().GetImage()
	}
	setImage(c, image)
	for _, m := range s.GetMounts() {
		c.Mounts = append(c.Mounts, event.ContainerMount{
			Source: m.GetHostPath(), Destination: m.GetContainerPath(), RW: !m.GetReadonly(), Propagation: propagation(m.GetPropagation()),
		})
	}
	if c.Pod != nil {
		c.Pod.SandboxID = info.SandboxID
	}
	return c
}

// propagation has the names of mount(8).
func propagation(p cri.MountPropagation) string {
	switch p {
	case cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER:
		return "rslave"
	case cri.MountPropagation_PROPAGATION_BIDIRECTIONAL:
		return "rshared"
	}
	return "private"
}

// inSandbox adds to a container what its pod's sandbox has: network, namespaces and
// the pod's own labels.
func inSandbox(c *event.Container, s *cri.PodSandboxStatus) {
	c.IP = s.GetNetwork().GetIp()
	if o := s.GetLinux().GetNamespaces().GetOptions(); o != nil {
		c.HostNetwork, c.HostPID, c.HostIPC = onNode(o.GetNetwork()), onNode(o.GetPid()), onNode(o.GetIpc())
	}
	if pod := podOf(s.GetLabels()); pod != nil {
		pod.SandboxID, pod.Labels = s.GetId(), ownLabels(s.GetLabels())
		pod.Probes = probesIn(s.GetAnnotations()[lastApplied])
		c.Pod = pod
	}
}

func onNode(m cri.NamespaceMode) event.Known { return known(m == cri.NamespaceMode_NODE) }

// sandboxOf is the sandbox as the container that it is to the kernel.
func sandboxOf(s *cri.PodSandboxStatus, info criInfo) *event.Container {
	c := &event.Container{
		Metadata: event.MetadataKnown, Name: s.GetMetadata().GetName(), Labels: s.GetLabels(), CreatedNS: s.GetCreatedAt(), Env: info.env(),
		Privileged: info.privileged(),
	}
	inSandbox(c, s)
	return c
}
