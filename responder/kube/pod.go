package kube

import (
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"riposte/responder/playbook"
)

// followed is what the informer keeps of a pod. A pod is some 10 kB, most of it
// environment, annotations and managed fields, and even an empty one more than 1 kB;
// this is some hundred bytes beside the pod that playbooks see, which everybody shares.
type followed struct {
	// ObjectMeta is by what informers know an object: its names, and when it is from.
	metav1.ObjectMeta
	pod   *playbook.Pod
	ready bool
}

// strip makes the pods of the API server followed ones.
func strip(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil // a tombstone, or one that was stripped before
	}
	f := &followed{pod: project(pod), ready: ready(pod)}
	f.Namespace, f.Name, f.UID = f.pod.Namespace, f.pod.Name, pod.UID
	f.ResourceVersion, f.CreationTimestamp = pod.ResourceVersion, pod.CreationTimestamp
	return f, nil
}

// project is the pod as playbooks see it. The result shares nothing with pod; what many
// pods have in common they share.
func project(pod *corev1.Pod) *playbook.Pod {
	owner := ""
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil {
		owner = ref.Kind + "/" + ref.Name
	}
	var labels map[string]string
	if pod.Labels != nil {
		labels = make(map[string]string, len(pod.Labels))
	}
	for key, value := range pod.Labels {
		labels[common(key)] = common(value)
	}
	return &playbook.Pod{
		Namespace: common(pod.Namespace),
		Name:      pod.Name,
		UID:       string(pod.UID),
		Node:      common(pod.Spec.NodeName),
		Labels:    labels,
		Owner:     common(owner),
	}
}

// common is the same text, once for all that have it.
func common(s string) string { return unique.Make(s).Value() }
