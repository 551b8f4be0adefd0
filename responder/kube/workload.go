package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"
)

// lookTimeout bounds a question to the API server that a decision waits for, the
// others how many there may be: the intake waits for each. They are apart from
// Bind's, so that a node that makes up UIDs cannot use them up.
const (
	lookTimeout    = 2 * time.Second
	looksPerSecond = 10
	lookBurst      = 20
)

var errManyLooks = errors.New("the API server was asked too much already")

// byWorkload is the index of the pods by what they are replicas of.
const byWorkload = "workload"

var indexers = cache.Indexers{byWorkload: func(object any) ([]string, error) {
	f, ok := object.(*followed)
	if !ok {
		return nil, nil
	}
	return []string{common(workloadKey(f.Namespace, f.pod.Workload()))}, nil
}}

func workloadKey(namespace, workload string) string { return namespace + "/" + workload }

// Ready counts the ready replicas of a workload ("Kind/name", see
// playbook.Pod.Workload): its pods that have the condition Ready and are not being
// deleted. If none of its pods is known the API server is asked.
func (b *Binder) Ready(ctx context.Context, namespace, workload string) (int, error) {
	known, err := b.informer.GetIndexer().ByIndex(byWorkload, workloadKey(namespace, workload))
	if err != nil {
		return 0, fmt.Errorf("look up the pods of %s: %w", workload, err)
	}
	n := 0
	for _, object := range known {
		if f, ok := object.(*followed); ok && f.ready {
			n++
		}
	}
	if len(known) > 0 {
		return n, nil
	}
	if !b.looks.TryAccept() {
		return 0, fmt.Errorf("list the pods of %s: %w", namespace, errManyLooks)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	list, err := b.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, fmt.Errorf("list the pods of %s: %w", namespace, err)
	}
	for i := range list.Items {
		if pod := &list.Items[i]; ready(pod) && project(pod).Workload() == workload {
			n++
		}
	}
	return n, nil
}

func ready(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// Cordoned names the nodes that take no new pods. It asks the API server each
// time: it is asked rarely, and an old answer would let one node too many go.
func (b *Binder) Cordoned(ctx context.Context) ([]string, error) {
	if !b.looks.TryAccept() {
		return nil, fmt.Errorf("list the cordoned nodes: %w", errManyLooks)
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	list, err := b.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.unschedulable", "true").String(),
	})
	if err != nil {
		return nil, fmt.Errorf("list the cordoned nodes: %w", err)
	}
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names, nil
}
