package kube

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"riposte/responder/playbook"
)

// strip leaves of a pod what project and ready read. A pod is some 10 kB, most of it
// environment, annotations and managed fields; this is a few hundred bytes.
func strip(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil // a tombstone: what it holds has been stripped before
	}
	short := &corev1.Pod{}
	short.Namespace, short.Name, short.UID = pod.Namespace, pod.Name, pod.UID
	short.ResourceVersion = pod.ResourceVersion
	short.CreationTimestamp = pod.CreationTimestamp
	short.Labels = pod.Labels
	short.OwnerReferences = pod.OwnerReferences
	short.Spec.NodeName = pod.Spec.NodeName
	short.DeletionTimestamp = pod.DeletionTimestamp
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			short.Status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	return short, nil
}

// project is the pod as playbooks see it. The result shares nothing with pod.
func project(pod *corev1.Pod) *playbook.Pod {
	owner := ""
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil {
		owner = ref.Kind + "/" + ref.Name
	}
	return &playbook.Pod{
		Namespace: pod.Namespace,
		Name:      pod.Name,
		UID:       string(pod.UID),
		Node:      pod.Spec.NodeName,
		Labels:    maps.Clone(pod.Labels),
		Owner:     owner,
	}
}
