// Package actiontest helps to test actions against a real API server: it gives
// them a user with exactly the permissions that they declare, and has the tests
// that each action on one object must pass.
package actiontest

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Make makes an action with clients of one user.
type Make func(client *kubeobject.Client, typed kubernetes.Interface) action.Action

// config opens the cluster without a rate limit.
func config(t testing.TB, kubeconfig string) *rest.Config {
	t.Helper()
	c, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	c.QPS = -1
	c.WarningHandler = rest.NoWarnings{}
	return c
}

// Connect makes an action that acts as the kubeconfig's user.
func Connect(t testing.TB, kubeconfig string, m Make) action.Action {
	t.Helper()
	c := config(t, kubeconfig)
	dyn, err := dynamic.NewForConfig(c)
	require.NoError(t, err)
	typed, err := kubernetes.NewForConfig(c)
	require.NoError(t, err)
	return m(kubeobject.New(dyn), typed)
}

// Declared makes an action that may do what it declares to need, and nothing more.
func Declared(t testing.TB, cluster *kubetest.Cluster, m Make) action.Action {
	t.Helper()
	user := "actor-" + strings.ToLower(uuid.NewString())
	a := Connect(t, cluster.As(t, user), m)
	cluster.Grant(t, user, a.Spec().Permissions...)
	return a
}

// Admin reads and writes any object as an administrator.
func Admin(t testing.TB, cluster *kubetest.Cluster) dynamic.Interface {
	t.Helper()
	dyn, err := dynamic.NewForConfig(config(t, cluster.Kubeconfig))
	require.NoError(t, err)
	return dyn
}

// Request is a decided action with an id of its own.
func Request(a action.Action, target action.Target, params string) action.Request {
	return action.Request{
		ID: uuid.NewString(), Type: a.Spec().Type, Target: target, Params: json.RawMessage(params), Attempt: 1,
		Reason: "a test", AlertID: uuid.NewString(), Expires: time.Now().Add(time.Minute),
	}
}

// Soon is a context that ends after d.
func Soon(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// Pod is a pod as a target.
func Pod(namespace, name, uid string) action.Target {
	return action.Target{Kind: action.KindPod, Cluster: "c", Node: "node-1", Namespace: namespace, Name: name, UID: uid}
}

// Node makes a node and returns it as a target. It has a label as every real node
// has, for the API server notes who changes an object only from the first field on.
func Node(t testing.TB, cluster *kubetest.Cluster, name string) action.Target {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}}}
	node, err := cluster.Client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{FieldManager: "kubelet"})
	require.NoError(t, err)
	return action.Target{Kind: action.KindNode, Cluster: "c", Name: name, UID: string(node.UID)}
}

// Get is the object of a target as it is now.
func Get(t testing.TB, cluster *kubetest.Cluster, target action.Target) *unstructured.Unstructured {
	t.Helper()
	o, err := resource(t, cluster, target).Get(t.Context(), target.Name, metav1.GetOptions{})
	require.NoError(t, err)
	return o
}

// Create makes an object and returns it as a target of the kind.
func Create(t testing.TB, cluster *kubetest.Cluster, kind, resource string, o *unstructured.Unstructured) action.Target {
	t.Helper()
	ref := kubeobject.To(resource, o.GetNamespace(), o.GetName(), "")
	made, err := Admin(t, cluster).Resource(ref.Resource).Namespace(o.GetNamespace()).Create(t.Context(), o, metav1.CreateOptions{FieldManager: "kubectl"})
	require.NoError(t, err)
	return action.Target{Kind: kind, Cluster: "c", Resource: resource, Namespace: o.GetNamespace(), Name: o.GetName(), UID: string(made.GetUID())}
}

// Edit changes an object as somebody else does.
func Edit(t testing.TB, cluster *kubetest.Cluster, target action.Target, edit func(o *unstructured.Unstructured), subresources ...string) {
	t.Helper()
	o := Get(t, cluster, target)
	edit(o)
	_, err := resource(t, cluster, target).Update(t.Context(), o, metav1.UpdateOptions{FieldManager: "kubectl"}, subresources...)
	require.NoError(t, err)
}

// Remove deletes an object at once.
func Remove(t testing.TB, cluster *kubetest.Cluster, target action.Target) {
	t.Helper()
	now := int64(0)
	background := metav1.DeletePropagationBackground
	require.NoError(t, resource(t, cluster, target).Delete(t.Context(), target.Name, metav1.DeleteOptions{GracePeriodSeconds: &now, PropagationPolicy: &background}))
}

// Replace deletes an object and makes one of the same name and content, and returns
// the successor's UID.
func Replace(t testing.TB, cluster *kubetest.Cluster, target action.Target) string {
	t.Helper()
	o := Get(t, cluster, target)
	Remove(t, cluster, target)
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	made, err := resource(t, cluster, target).Create(t.Context(), o, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NotEqual(t, target.UID, string(made.GetUID()))
	return string(made.GetUID())
}

func resource(t testing.TB, cluster *kubetest.Cluster, target action.Target) dynamic.ResourceInterface {
	t.Helper()
	ref, err := kubeobject.RefOf(target)
	require.NoError(t, err)
	all := Admin(t, cluster).Resource(ref.Resource)
	if target.Namespace == "" {
		return all
	}
	return all.Namespace(target.Namespace)
}
