package kubetest_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"riposte/deploy/e2e/kubetest"
)

// One life of a control plane: what a test puts in it stays until the stand-in
// for the kubelet finishes it, and nothing is left when it stops.
func TestCluster(t *testing.T) {
	cluster := kubetest.Start(t)
	pods := cluster.Client.CoreV1().Pods("shop")
	cluster.CreateNode(t, "node-1")
	uid := cluster.CreatePod(t, "shop", "cart", "node-1", kubetest.Labels(map[string]string{"app": "cart"}), kubetest.Owner("cart-6d5"))

	require.NoError(t, pods.Delete(t.Context(), "cart", metav1.DeleteOptions{}))
	pod, err := pods.Get(t.Context(), "cart", metav1.GetOptions{})
	require.NoError(t, err, "a deletion with a grace needs a kubelet to finish it")
	require.NotNil(t, pod.DeletionTimestamp)
	require.Equal(t, "cart-6d5", metav1.GetControllerOf(pod).Name)

	stopped := make(chan string, 10)
	cluster.FinishDeletions(t, "node-1", func(_ context.Context, pod *corev1.Pod) { stopped <- string(pod.UID) })
	cluster.WaitGone(t, "shop", "cart", uid)
	require.Equal(t, uid, <-stopped)

	successor := cluster.CreatePod(t, "shop", "cart", "node-1")
	require.NotEqual(t, uid, successor)
	require.Equal(t, successor, cluster.UID(t, "shop", "cart"))

	client := clientFor(t, cluster.As(t, "guest"))
	_, err = client.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	cluster.Grant(t, "guest", "list pods")
	_, err = client.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
}

func TestStop(t *testing.T) {
	cluster := kubetest.Start(t)
	begin := time.Now()
	cluster.Stop()
	cluster.Stop()
	require.Less(t, time.Since(begin), 5*time.Second, "it ends by itself when its standard input closes")
	_, err := os.Stat(cluster.Kubeconfig)
	require.NoError(t, err, "the file outlives the server: tests of an API server that is away need it")
	_, err = cluster.Client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.ErrorContains(t, err, "connection refused")
}

func clientFor(t *testing.T, kubeconfig string) kubernetes.Interface {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return client
}
