package kube

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"riposte/deploy/e2e/kubetest"
)

// replica makes a pod of Deployment "web" that is ready or not.
func replica(t *testing.T, cluster *kubetest.Cluster, namespace string, i int, condition corev1.ConditionStatus) {
	name := fmt.Sprint("web-", i)
	cluster.CreatePod(t, namespace, name, "node-1", kubetest.Labels(map[string]string{"pod-template-hash": "6d5"}), kubetest.Owner("web-6d5"))
	patch := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q}]}}`, condition)
	_, err := cluster.Client.CoreV1().Pods(namespace).Patch(t.Context(), name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	require.NoError(t, err)
}

func TestReady(t *testing.T) {
	cluster := kubetest.Shared(t)
	for i := range 4 {
		replica(t, cluster, "ready", i, corev1.ConditionTrue)
	}
	replica(t, cluster, "ready", 4, corev1.ConditionFalse)
	cluster.CreatePod(t, "ready", "other", "node-1", kubetest.Owner("other-6d5"))
	replica(t, cluster, "elsewhere", 0, corev1.ConditionTrue)

	asking, _ := binder(t, cluster) // not running: it has to ask
	following, _ := running(t, cluster)
	for name, b := range map[string]*Binder{"from the API server": asking, "from what it follows": following} {
		t.Run(name, func(t *testing.T) {
			n, err := b.Ready(t.Context(), "ready", "Deployment/web")
			require.NoError(t, err)
			require.Equal(t, 4, n)
			n, err = b.Ready(t.Context(), "ready", "Deployment/gone")
			require.NoError(t, err)
			require.Zero(t, n)
		})
	}

	// A pod that is being deleted serves nobody any more.
	require.NoError(t, cluster.Client.CoreV1().Pods("ready").Delete(t.Context(), "web-0", metav1.DeleteOptions{}))
	require.Eventually(t, func() bool {
		n, err := following.Ready(t.Context(), "ready", "Deployment/web")
		return err == nil && n == 3
	}, 20*time.Second, 10*time.Millisecond)
}

func TestCordoned(t *testing.T) {
	cluster := kubetest.Shared(t)
	cluster.CreateNode(t, "cordon-a")
	cluster.CreateNode(t, "cordon-b")
	b, _ := binder(t, cluster)
	nodes, err := b.Cordoned(t.Context())
	require.NoError(t, err)
	require.Empty(t, nodes)
	_, err = cluster.Client.CoreV1().Nodes().Patch(t.Context(), "cordon-b", types.MergePatchType, []byte(`{"spec":{"unschedulable":true}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	nodes, err = b.Cordoned(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"cordon-b"}, nodes)
}

// Whoever does not know must not guess.
func TestUnknownIsAnError(t *testing.T) {
	cluster := kubetest.Start(t)
	b, _ := binder(t, cluster)
	cluster.Stop()
	_, err := b.Ready(t.Context(), "shop", "Deployment/web")
	require.Error(t, err)
	_, err = b.Cordoned(t.Context())
	require.Error(t, err)
}
