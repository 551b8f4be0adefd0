package pod

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// podsOn lists and watches the pods of one node for an informer.
//
// An informer deals by itself with two errors of a watch, a refused connection
// and 429: it tells nobody, and while it waits for its next try it cannot be
// stopped, for up to a minute. So these two lose their type here and are
// treated as any other error.
func podsOn(client kubernetes.Interface, node string) cache.ListerWatcher {
	selector := fields.OneTermEqualSelector("spec.nodeName", node).String()
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			return client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selector
			w, err := client.CoreV1().Pods(metav1.NamespaceAll).Watch(ctx, options)
			if utilnet.IsConnectionRefused(err) || apierrors.IsTooManyRequests(err) {
				err = errors.New(err.Error())
			}
			return w, err
		},
	}
}

// strip leaves of a pod what is read here, a small part of it.
func strip(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil // a tombstone: what it holds has been stripped before
	}
	short := &corev1.Pod{}
	short.Namespace, short.Name, short.UID = pod.Namespace, pod.Name, pod.UID
	short.ResourceVersion = pod.ResourceVersion
	short.Labels = pod.Labels
	short.OwnerReferences = pod.OwnerReferences
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		if commandLine(c.LivenessProbe) != "" || commandLine(c.ReadinessProbe) != "" {
			short.Spec.Containers = append(short.Spec.Containers, corev1.Container{
				Name: c.Name, LivenessProbe: c.LivenessProbe, ReadinessProbe: c.ReadinessProbe,
			})
		}
	}
	return short, nil
}
