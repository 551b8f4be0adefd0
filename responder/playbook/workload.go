package playbook

import "strings"

// Workload names what the pod is a replica of, as "Kind/name": its controller, or
// the Deployment above a ReplicaSet, which gives the ReplicaSet its own name, a
// dash and the pod's label pod-template-hash. It is empty for a standalone pod.
func (p *Pod) Workload() string {
	name, isSet := strings.CutPrefix(p.Owner, "ReplicaSet/")
	hash := p.Labels["pod-template-hash"]
	if base, ok := strings.CutSuffix(name, "-"+hash); isSet && ok && hash != "" && base != "" {
		return "Deployment/" + base
	}
	return p.Owner
}
