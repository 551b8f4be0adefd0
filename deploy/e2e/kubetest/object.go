package kubetest

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// CreateNode makes a Node object. Nothing runs on it.
func (c *Cluster) CreateNode(t testing.TB, name string) {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := c.Client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal("create node:", err)
	}
}

// CreatePod makes a pod that is bound to node ("" for a pod that still waits
// for one) and returns its UID. It makes the namespace too, if it is missing.
// Each change may alter the pod before it is made.
func (c *Cluster) CreatePod(t testing.TB, namespace, name, node string, changes ...func(*corev1.Pod)) string {
	t.Helper()
	c.CreateNamespace(t, namespace)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			NodeName:   node,
			Containers: []corev1.Container{{Name: "main", Image: "registry.example/pause:1"}},
		},
	}
	for _, change := range changes {
		change(pod)
	}
	made, err := c.Client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal("create pod:", err)
	}
	return string(made.UID)
}

// Labels is a change for CreatePod.
func Labels(labels map[string]string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Labels = labels }
}

// Owner is a change for CreatePod: the pod's controller is a ReplicaSet of this
// name. The ReplicaSet itself need not exist; no garbage collector runs.
func Owner(replicaSet string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		yes := true
		pod.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: "apps/v1", Kind: "ReplicaSet", Name: replicaSet, UID: types.UID("owner-" + replicaSet), Controller: &yes,
		}}
	}
}

// ForceDelete removes a pod at once, as `kubectl delete --force` does.
func (c *Cluster) ForceDelete(t testing.TB, namespace, name string) {
	t.Helper()
	now := int64(0)
	if err := c.Client.CoreV1().Pods(namespace).Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal("delete pod:", err)
	}
}

// UID returns the UID of the pod that has this name now, "" if none has.
func (c *Cluster) UID(t testing.TB, namespace, name string) string {
	t.Helper()
	pod, err := c.Client.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return ""
	case err != nil:
		t.Fatal("get pod:", err)
	}
	return string(pod.UID)
}

// WaitGone returns when no pod of this name has this UID any more, and fails t
// after half a minute.
func (c *Cluster) WaitGone(t testing.TB, namespace, name, uid string) {
	t.Helper()
	poll(t, "pod "+namespace+"/"+name+" to go", func(context.Context) (bool, error) {
		return c.UID(t, namespace, name) != uid, nil
	})
}

// CreateNamespace makes a namespace with the service account that pods need,
// which a controller would make. Both may be there.
func (c *Cluster) CreateNamespace(t testing.TB, name string) {
	t.Helper()
	core := c.Client.CoreV1()
	_, err := core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal("create namespace:", err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, err = core.ServiceAccounts(name).Create(t.Context(), account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal("create service account:", err)
	}
}
