package deletepod_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/deletepod"
	"riposte/responder/action/kubeobject"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func connect(t *testing.T, kubeconfig string) *deletepod.Action {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return deletepod.New(kubeobject.New(client))
}

func request(namespace, name, uid, params string) action.Request {
	return action.Request{
		ID: "a-1", Type: deletepod.Type, Attempt: 1, Params: json.RawMessage(params),
		Target: action.Target{Kind: "pod", Cluster: "c", Node: "node-1", Namespace: namespace, Name: name, UID: uid},
	}
}

func soon(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// grace is the deletion's grace, in seconds, that the API server noted on the pod.
func grace(t *testing.T, cluster *kubetest.Cluster, namespace, name string) int64 {
	pod, err := cluster.Client.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	require.NotNil(t, pod.DeletionGracePeriodSeconds)
	return *pod.DeletionGracePeriodSeconds
}

func TestDelete(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := connect(t, cluster.Kubeconfig)
	uid := cluster.CreatePod(t, "delete", "cart", "delete-1")
	other := cluster.CreatePod(t, "delete", "other", "delete-1")
	r := request("delete", "cart", uid, `{"grace_seconds": 7}`)

	text, err := a.Preview(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("pod delete/cart (%s) would be deleted, with a grace of 7 s", uid), text)
	_, err = a.Verify(soon(t, 200*time.Millisecond), r)
	require.ErrorContains(t, err, "no deletion has been asked for", "a preview changes nothing")

	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "deletion of the pod was accepted, with a grace of 7 s", result.Note)
	require.False(t, result.ExecutedAt.IsZero())
	require.True(t, result.VerifiedAt.IsZero())
	require.Equal(t, int64(7), grace(t, cluster, "delete", "cart"))

	// Nobody has finished the deletion, so it is not verified.
	_, err = a.Verify(soon(t, 200*time.Millisecond), r)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "pod delete/cart is still there: its deletion has not been finished")

	// After a crash the same request comes again.
	r.Attempt = 2
	_, err = a.Execute(t.Context(), r)
	require.NoError(t, err)

	begin := time.Now()
	cluster.FinishDeletions(t, "delete-1", nil)
	seen, err := a.Verify(soon(t, 20*time.Second), r)
	require.NoError(t, err)
	require.WithinRange(t, seen, begin, time.Now())
	require.Empty(t, cluster.UID(t, "delete", "cart"))
	require.Equal(t, other, cluster.UID(t, "delete", "other"))

	result, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "the pod was already gone", result.Note)
	require.False(t, result.VerifiedAt.IsZero())
}

// Between the decision and the action the pod goes and another takes its name.
func TestReplacementSurvives(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := connect(t, cluster.Kubeconfig)
	uid := cluster.CreatePod(t, "replace", "cart", "node-1")
	cluster.ForceDelete(t, "replace", "cart")
	successor := cluster.CreatePod(t, "replace", "cart", "node-1")
	r := request("replace", "cart", uid, "")

	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("the pod was already gone and was replaced by another of its name (%s), which was left alone", successor), result.Note)
	require.False(t, result.VerifiedAt.IsZero())
	_, err = a.Verify(soon(t, 20*time.Second), r)
	require.NoError(t, err)

	pod, err := cluster.Client.CoreV1().Pods("replace").Get(t.Context(), "cart", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, successor, string(pod.UID))
	require.Nil(t, pod.DeletionTimestamp)
}

func TestFinalizerIsNamed(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := connect(t, cluster.Kubeconfig)
	uid := cluster.CreatePod(t, "finalizer", "cart", "node-1", func(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/hold"} })
	r := request("finalizer", "cart", uid, `{"grace_seconds": 0}`)

	_, err := a.Verify(soon(t, 200*time.Millisecond), r)
	require.ErrorContains(t, err, "no deletion has been asked for")
	_, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	_, err = a.Verify(soon(t, 200*time.Millisecond), r)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "its deletion waits for the finalizers example.com/hold")
}

// The declared permissions are enough, and each of them is needed.
func TestPermissions(t *testing.T) {
	cluster := kubetest.Shared(t)
	declared := connect(t, cluster.Kubeconfig).Spec().Permissions
	require.Equal(t, []string{"delete pods", "get pods"}, declared)
	uid := cluster.CreatePod(t, "permission", "cart", "node-1")
	r := request("permission", "cart", uid, "")

	reader := cluster.As(t, "reader")
	cluster.Grant(t, "reader", "get pods")
	_, err := connect(t, reader).Execute(t.Context(), r)
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "delete pods"`)
	require.ErrorContains(t, err, `User "reader" cannot delete resource "pods"`)

	deleter := cluster.As(t, "deleter")
	cluster.Grant(t, "deleter", "delete pods")
	_, err = connect(t, deleter).Verify(soon(t, 20*time.Second), r)
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "get pods"`)

	cluster.Grant(t, "both", declared...)
	a := connect(t, cluster.As(t, "both"))
	_, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, int64(1), grace(t, cluster, "permission", "cart"))
	cluster.ForceDelete(t, "permission", "cart")
	_, err = a.Verify(soon(t, 20*time.Second), r)
	require.NoError(t, err)
}
