package runtime

import (
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
