package drainnode_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/drainnode"
	"riposte/responder/action/kubeobject"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func drain(c *kubeobject.Client, _ kubernetes.Interface) action.Action { return drainnode.New(c, nil) }

func owned(kind string, by action.Target) func(*corev1.Pod) {
	yes := true
	return func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: by.Name, UID: types.UID(by.UID), Controller: &yes}}
	}
}

// run makes a pod ready.
func run(t *testing.T, cluster *kubetest.Cluster, namespace, name string) {
	pods := cluster.Client.CoreV1().Pods(namespace)
	pod, err := pods.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err)
}

func closed(t *testing.T, cluster *kubetest.Cluster, node action.Target) bool {
	v, _, _ := unstructured.NestedBool(actiontest.Get(t, cluster, node).Object, "spec", "unschedulable")
	return v
}

func TestWhoGoesAndWhoStays(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, drain)
	node := actiontest.Node(t, cluster, "drain-1")
	set := actiontest.Workload(t, cluster, kubeobject.ReplicaSets, "drain", "cart")
	daemon := actiontest.Workload(t, cluster, kubeobject.DaemonSets, "drain", "agent")
	for _, name := range []string{"cart-1", "cart-2"} {
		cluster.CreatePod(t, "drain", name, node.Name, owned("ReplicaSet", set))
	}
	stays := map[string]string{
		"of-daemonset": cluster.CreatePod(t, "drain", "of-daemonset", node.Name, owned("DaemonSet", daemon)),
		"mirror": cluster.CreatePod(t, "drain", "mirror", node.Name, owned("ReplicaSet", set), func(pod *corev1.Pod) {
			pod.Annotations = map[string]string{"kubernetes.io/config.mirror": "x"}
		}),
		"marked":    cluster.CreatePod(t, "drain", "marked", node.Name, owned("ReplicaSet", set), kubetest.Labels(map[string]string{"riposte.dev/protected": "true"})),
		"alone":     cluster.CreatePod(t, "drain", "alone", node.Name),
		"elsewhere": cluster.CreatePod(t, "drain", "elsewhere", "drain-2", owned("ReplicaSet", set)),
	}
	dns := cluster.CreatePod(t, "kube-system", "dns", node.Name, owned("ReplicaSet", set))
	require.NoError(t, a.Check(node, json.RawMessage(a.Spec().Example)))
	r := actiontest.Request(a, node, `{"grace_seconds": 3}`)

	text, err := a.(action.Previewer).Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, "+  unschedulable: true")
	require.Contains(t, text, "# would evict pod drain/cart-1\n# would evict pod drain/cart-2\n")
	require.Contains(t, text, "# 2 pods would go; left 1 mirror pods, 1 of DaemonSets, 2 protected, 1 without a controller")
	require.False(t, closed(t, cluster, node))

	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "cordoned the node and evicted 2 pods; left 1 mirror pods, 1 of DaemonSets, 2 protected, 1 without a controller", result.Note)
	require.True(t, closed(t, cluster, node))
	_, err = a.Verify(actiontest.Soon(t, 200*time.Millisecond), r)
	require.ErrorContains(t, err, "2 pods are still there")

	// After a crash the same request comes again.
	r.Attempt = 2
	again, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.JSONEq(t, string(result.Before), string(again.Before))
	cluster.FinishDeletions(t, node.Name, nil)
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.NoError(t, err)
	for name, uid := range stays {
		require.Equal(t, uid, cluster.UID(t, "drain", name))
		require.Nil(t, actiontest.Get(t, cluster, actiontest.Pod("drain", name, uid)).GetDeletionTimestamp(), name)
	}
	require.Equal(t, dns, cluster.UID(t, "kube-system", "dns"))

	r.Before = result.Before
	_, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.False(t, closed(t, cluster, node))
	_, err = a.Execute(t.Context(), actiontest.Request(a, node, `{"standalone": true}`))
	require.NoError(t, err)
	cluster.WaitGone(t, "drain", "alone", stays["alone"])
}

// Of three ready pods one may go, then the rest is held up.
func TestMinHealthy(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, drain)
	node := actiontest.Node(t, cluster, "healthy-1")
	set := actiontest.Workload(t, cluster, kubeobject.ReplicaSets, "healthy", "cart")
	uids := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		uids[name] = cluster.CreatePod(t, "healthy", name, node.Name, owned("ReplicaSet", set))
		run(t, cluster, "healthy", name)
	}
	actiontest.Report(t, cluster, set, map[string]any{"replicas": int64(3), "readyReplicas": int64(3)})
	r := actiontest.Request(a, node, `{"min_healthy": "50%"}`)
	_, err := a.Execute(actiontest.Soon(t, 500*time.Millisecond), r)
	require.Equal(t, action.Retryable, action.KindOf(err))
	require.ErrorContains(t, err, "evicted 1 pods, 2 are held up: healthy/b: 2 pods of ReplicaSet cart are ready, and 2 must be left")
	going := 0
	for name, uid := range uids {
		if actiontest.Get(t, cluster, actiontest.Pod("healthy", name, uid)).GetDeletionTimestamp() != nil {
			going++
		}
	}
	require.Equal(t, 1, going)

	// The controller has made two new ones elsewhere.
	cluster.FinishDeletions(t, node.Name, nil)
	cluster.WaitGone(t, "healthy", "a", uids["a"])
	actiontest.Report(t, cluster, set, map[string]any{"replicas": int64(5), "readyReplicas": int64(5)})
	r.Attempt = 2
	_, err = a.Execute(actiontest.Soon(t, 20*time.Second), r)
	require.NoError(t, err)
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.NoError(t, err)
}

func TestBudgetHolds(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, drain)
	node := actiontest.Node(t, cluster, "budget-1")
	set := actiontest.Workload(t, cluster, kubeobject.StatefulSets, "budget", "db")
	labels := map[string]string{"app": "db"}
	cluster.CreatePod(t, "budget", "db-0", node.Name, owned("StatefulSet", set), kubetest.Labels(labels))
	run(t, cluster, "budget", "db-0")
	one := intstr.FromInt32(1)
	budgets := cluster.Client.PolicyV1().PodDisruptionBudgets("budget")
	budget, err := budgets.Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: labels}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	budget.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: budget.Generation, CurrentHealthy: 1, DesiredHealthy: 1, ExpectedPods: 1}
	_, err = budgets.UpdateStatus(t.Context(), budget, metav1.UpdateOptions{})
	require.NoError(t, err)
	_, err = a.Execute(actiontest.Soon(t, 500*time.Millisecond), actiontest.Request(a, node, ""))
	require.Equal(t, action.Retryable, action.KindOf(err))
	require.ErrorContains(t, err, "budget/db-0: a disruption budget does not let the pod go now")
}

func TestGoneReplacedRefused(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, drain)
	node := actiontest.Node(t, cluster, "gone-1")
	uid := cluster.CreatePod(t, "gone", "cart", node.Name, kubetest.Owner("x"))
	nobody := actiontest.Connect(t, cluster.As(t, "nobody"), drain)
	_, err := nobody.Execute(t.Context(), actiontest.Request(a, node, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "get nodes"`)

	successor := node
	successor.UID = actiontest.Replace(t, cluster, node)
	result, err := a.Execute(t.Context(), actiontest.Request(a, node, ""))
	require.NoError(t, err)
	require.Contains(t, result.Note, "replaced by another of its name")
	require.False(t, closed(t, cluster, successor))
	require.Nil(t, actiontest.Get(t, cluster, actiontest.Pod("gone", "cart", uid)).GetDeletionTimestamp())
}

// Somebody cordons the node too: the undo leaves it closed.
func TestUndoLeavesSomebodyElsesCordon(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, drain)
	node := actiontest.Node(t, cluster, "others-1")
	r := actiontest.Request(a, node, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	for _, v := range []bool{false, true} {
		actiontest.Edit(t, cluster, node, func(o *unstructured.Unstructured) {
			require.NoError(t, unstructured.SetNestedField(o.Object, v, "spec", "unschedulable"))
		})
	}
	r.Before = result.Before
	result, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "somebody else has changed it since")
	require.True(t, closed(t, cluster, node))
}

func TestParams(t *testing.T) {
	node := action.Target{Kind: action.KindNode, Name: "n", UID: "u"}
	for _, value := range []string{"-1", "101%", "x", "1.5", "%", strings.Repeat("9", 30)} {
		require.ErrorContains(t, drainnode.New(nil, nil).Check(node, json.RawMessage(`{"min_healthy": "`+value+`"}`)), "params.min_healthy: ", value)
	}
	for params, want := range map[string]string{
		`{"min_healthy": 1}`:       "params.min_healthy: is no text",
		`{"grace_seconds": 601}`:   "params.grace_seconds: 601 is not from 0 to 600",
		`{"ignore_budgets": true}`: `unknown key "ignore_budgets": drain_node knows min_healthy, grace_seconds, standalone`,
	} {
		require.ErrorContains(t, drainnode.New(nil, nil).Check(node, json.RawMessage(params)), want)
	}
}
