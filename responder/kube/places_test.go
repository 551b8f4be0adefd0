package kube

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/playbook"
)

func places(t *testing.T, kubeconfig string) *Places {
	client, err := Connect(t.Context(), kubeconfig)
	require.NoError(t, err)
	return NewPlaces(client, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func replicaSet(t *testing.T, cluster *kubetest.Cluster, name string, owners ...metav1.OwnerReference) string {
	labels := map[string]string{"app": name}
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners},
		Spec: appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "x"}}},
		}},
	}
	made, err := cluster.Client.AppsV1().ReplicaSets("places").Create(t.Context(), set, metav1.CreateOptions{})
	require.NoError(t, err)
	return string(made.UID)
}

func TestPlaces(t *testing.T) {
	cluster := kubetest.Shared(t)
	cluster.CreateNamespace(t, "places")
	yes := true
	uid := replicaSet(t, cluster, "bare")
	replicaSet(t, cluster, "web-5d4f", metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "4711", Controller: &yes})
	p := places(t, cluster.Kubeconfig)
	of := func(owner string) *playbook.Workload {
		return p.Workload(t.Context(), &playbook.Pod{Namespace: "places", Owner: owner})
	}
	require.Equal(t, &playbook.Workload{Resource: "apps/v1/deployments", Namespace: "places", Name: "web", UID: "4711"}, of("ReplicaSet/web-5d4f"))
	require.Equal(t, &playbook.Workload{Resource: "apps/v1/replicasets", Namespace: "places", Name: "bare", UID: uid}, of("ReplicaSet/bare"))
	for _, owner := range []string{"", "Rollout/web", "ReplicaSet/none", "StatefulSet/bare", "odd"} {
		require.Nil(t, of(owner), owner)
	}
	require.Nil(t, p.Workload(t.Context(), nil))

	cluster.CreateNode(t, "places-1")
	node, err := cluster.Client.CoreV1().Nodes().Get(t.Context(), "places-1", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, string(node.UID), p.Node(t.Context(), "places-1"))
	require.Empty(t, p.Node(t.Context(), "places-2"))
	namespace, err := cluster.Client.CoreV1().Namespaces().Get(t.Context(), "places", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, string(namespace.UID), p.Namespace(t.Context(), "places"))
}

// What is known is not asked for again for a minute, what is not for some seconds.
func TestPlacesAreRemembered(t *testing.T) {
	cluster := kubetest.Shared(t)
	p := places(t, cluster.Kubeconfig)
	now := time.Now()
	p.now = func() time.Time { return now }
	require.Empty(t, p.Node(t.Context(), "places-3"))
	cluster.CreateNode(t, "places-3")
	require.Empty(t, p.Node(t.Context(), "places-3"))
	now = now.Add(silentFor)
	uid := p.Node(t.Context(), "places-3")
	require.NotEmpty(t, uid)

	require.NoError(t, cluster.Client.CoreV1().Nodes().Delete(t.Context(), "places-3", metav1.DeleteOptions{}))
	cluster.CreateNode(t, "places-3")
	require.Equal(t, uid, p.Node(t.Context(), "places-3"))
	now = now.Add(believeFor)
	require.NotEqual(t, uid, p.Node(t.Context(), "places-3"))
	require.NotEmpty(t, p.Node(t.Context(), "places-3"))
}

// Without the permission nothing is known, and nothing fails.
func TestPlacesForbidden(t *testing.T) {
	cluster := kubetest.Shared(t)
	cluster.Grant(t, "places-guest", "list pods")
	cluster.CreateNode(t, "places-4")
	require.Empty(t, places(t, cluster.As(t, "places-guest")).Node(t.Context(), "places-4"))
}

// An API server that is away costs one alert a moment, and not each.
func TestPlacesWithoutAnAPIServer(t *testing.T) {
	cluster := kubetest.Start(t)
	p := places(t, cluster.Kubeconfig)
	now := time.Now()
	p.now = func() time.Time { return now }
	cluster.Stop()
	require.Empty(t, p.Node(t.Context(), "n"))
	require.NotContains(t, p.known, "node m")
	require.Empty(t, p.Node(t.Context(), "m"))
	require.NotContains(t, p.known, "node m", "it was not asked for")
	now = now.Add(silentFor)
	require.Empty(t, p.Node(t.Context(), "m"))
	require.Contains(t, p.known, "node m")
}
