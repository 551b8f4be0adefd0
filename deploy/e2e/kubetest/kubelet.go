package kubetest

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

// FinishDeletions does until t ends what a kubelet does about the pods of its
// node that are being deleted: it stops their processes and then takes the
// object away. Without it such a pod stays, marked with a deletion time. Stop
// is called once for each pod before its object goes; nil if there is nothing
// to stop.
func (c *Cluster) FinishDeletions(t testing.TB, node string, stop func(context.Context, *corev1.Pod)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	k := kubelet{cluster: c, node: node, stop: stop, finished: map[types.UID]bool{}}
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			// A watch ends now and then by itself; another list and watch goes on from there.
			if err := k.follow(ctx); err != nil && ctx.Err() == nil {
				select {
				case <-c.ended:
					return // the test stopped the control plane
				default:
				}
				t.Errorf("stand-in for the kubelet of %s: %v", node, err)
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

type kubelet struct {
	cluster *Cluster
	node    string
	stop    func(context.Context, *corev1.Pod)
	// finished has every pod that stop was called for: one deletion is seen several times.
	finished map[types.UID]bool
}

// follow finishes every deletion until its watch ends.
func (k kubelet) follow(ctx context.Context) error {
	pods := k.cluster.Client.CoreV1().Pods(metav1.NamespaceAll)
	options := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", k.node).String()}
	list, err := pods.List(ctx, options)
	if err != nil {
		return err
	}
	for i := range list.Items {
		if err := k.finish(ctx, &list.Items[i]); err != nil {
			return err
		}
	}
	options.ResourceVersion = list.ResourceVersion
	watch, err := pods.Watch(ctx, options)
	if err != nil {
		return err
	}
	defer watch.Stop()
	for event := range watch.ResultChan() {
		if pod, ok := event.Object.(*corev1.Pod); ok && event.Type != "DELETED" {
			if err := k.finish(ctx, pod); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish takes a pod away that is marked for deletion. The UID sees to it that
// a successor of the same name stays.
func (k kubelet) finish(ctx context.Context, pod *corev1.Pod) error {
	if pod.DeletionTimestamp == nil {
		return nil
	}
	if k.stop != nil && !k.finished[pod.UID] {
		k.finished[pod.UID] = true
		k.stop(ctx, pod)
	}
	now := int64(0)
	err := k.cluster.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now,
		Preconditions:      &metav1.Preconditions{UID: &pod.UID},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // somebody else was faster
	}
	return err
}
