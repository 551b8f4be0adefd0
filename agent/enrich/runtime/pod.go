package runtime

import (
	"encoding/json"
	"maps"
	"strings"

	"riposte/agent/event"
)

// The labels that kubelet gives every container and sandbox.
const (
	podName      = "io.kubernetes.pod.name"
	podNamespace = "io.kubernetes.pod.namespace"
	podUID       = "io.kubernetes.pod.uid"
)

// podOf is the pod that a container's labels name; nil if they name none.
func podOf(labels map[string]string) *event.Pod {
	if labels[podUID] == "" {
		return nil
	}
	return &event.Pod{UID: cut(labels[podUID]), Name: cut(labels[podName]), Namespace: cut(labels[podNamespace])}
}

// ownLabels are the labels of a sandbox without kubelet's own: those of the pod.
func ownLabels(labels map[string]string) map[string]string {
	own := maps.Clone(labels)
	maps.DeleteFunc(own, func(k, _ string) bool { return strings.HasPrefix(k, "io.kubernetes.") })
	return own
}

// lastApplied is the annotation in which kubectl keeps what it was given; of a pod that
// was applied itself it has the probes. Of others only the API server knows them.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// probesIn are the probes of a pod as kubectl was given it; nil if it says nothing that
// we understand.
func probesIn(applied string) map[string]event.Probes {
	type probe struct {
		Exec struct {
			Command []string `json:"command"`
		} `json:"exec"`
	}
	var pod struct {
		Spec struct {
			Containers []struct {
				Name      string `json:"name"`
				Liveness  probe  `json:"livenessProbe"`
				Readiness probe  `json:"readinessProbe"`
			} `json:"containers"`
		} `json:"spec"`
	}
	if applied == "" || json.Unmarshal([]byte(applied), &pod) != nil {
		return nil
	}
	all := map[string]event.Probes{}
	for _, c := range pod.Spec.Containers[:min(len(pod.Spec.Containers), maxItems)] {
		p := event.Probes{Liveness: cut(strings.Join(c.Liveness.Exec.Command, " ")), Readiness: cut(strings.Join(c.Readiness.Exec.Command, " "))}
		if p != (event.Probes{}) {
			all[cut(c.Name)] = p
		}
	}
	return all
}
