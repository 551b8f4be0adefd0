package evictpod_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/evictpod"
	"riposte/responder/action/kubeobject"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func evict(c *kubeobject.Client, _ kubernetes.Interface) action.Action { return evictpod.New(c) }

func TestEvict(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, evict)
	target := actiontest.Pod("evict", "cart", cluster.CreatePod(t, "evict", "cart", "evict-1"))
	require.NoError(t, a.Check(target, []byte(a.Spec().Example)))
	require.ErrorContains(t, a.Check(target, []byte(`{"grace_seconds": 601}`)), "params.grace_seconds: 601 is not from 0 to 600")
	r := actiontest.Request(a, target, `{"grace_seconds": 7}`)

	text, err := a.(action.Previewer).Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, "would be evicted")
	require.Nil(t, actiontest.Get(t, cluster, target).GetDeletionTimestamp())

	_, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, int64(7), *actiontest.Get(t, cluster, target).GetDeletionGracePeriodSeconds())
	_, err = a.Verify(actiontest.Soon(t, 200*time.Millisecond), r)
	require.ErrorContains(t, err, "its deletion has not been finished")

	// After a crash the same request comes again.
	r.Attempt = 2
	_, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	cluster.FinishDeletions(t, "evict-1", nil)
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.NoError(t, err)
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "the pod was already gone", result.Note)
}

func TestReplacementSurvives(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, evict)
	target := actiontest.Pod("replaced", "cart", cluster.CreatePod(t, "replaced", "cart", "node-1"))
	successor := target
	successor.UID = actiontest.Replace(t, cluster, target)
	result, err := a.Execute(t.Context(), actiontest.Request(a, target, ""))
	require.NoError(t, err)
	require.Contains(t, result.Note, "replaced by another of its name ("+successor.UID+"), which was left alone")
	require.Nil(t, actiontest.Get(t, cluster, successor).GetDeletionTimestamp())
}

// A budget's no may become a yes, so it is retryable.
func TestBudgetHolds(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, evict)
	labels := map[string]string{"app": "cart"}
	target := actiontest.Pod("budget", "cart", cluster.CreatePod(t, "budget", "cart", "node-1", kubetest.Labels(labels)))
	pods := cluster.Client.CoreV1().Pods("budget")
	pod, err := pods.Get(t.Context(), "cart", metav1.GetOptions{})
	require.NoError(t, err)
	// A pod that is not ready may be evicted all the same.
	pod.Status.Phase = "Running"
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err)
	one := intstr.FromInt32(1)
	budgets := cluster.Client.PolicyV1().PodDisruptionBudgets("budget")
	budget, err := budgets.Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "cart"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: labels}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	budget.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: budget.Generation, CurrentHealthy: 1, DesiredHealthy: 1, ExpectedPods: 1}
	budget, err = budgets.UpdateStatus(t.Context(), budget, metav1.UpdateOptions{})
	require.NoError(t, err)

	r := actiontest.Request(a, target, "")
	text, err := a.(action.Previewer).Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, "would not go yet: a disruption budget does not let the pod go now")
	_, err = a.Execute(t.Context(), r)
	require.ErrorIs(t, err, kubeobject.ErrBudget)
	require.ErrorContains(t, err, "cart")
	require.Equal(t, action.Retryable, action.KindOf(err))
	require.Nil(t, actiontest.Get(t, cluster, target).GetDeletionTimestamp())

	budget.Status.DisruptionsAllowed = 1
	_, err = budgets.UpdateStatus(t.Context(), budget, metav1.UpdateOptions{})
	require.NoError(t, err)
	r.Attempt = 2
	_, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.NotNil(t, actiontest.Get(t, cluster, target).GetDeletionTimestamp())
}

func TestRefused(t *testing.T) {
	cluster := kubetest.Shared(t)
	nobody := actiontest.Connect(t, cluster.As(t, "nobody"), evict)
	target := actiontest.Pod("refused", "cart", cluster.CreatePod(t, "refused", "cart", "node-1"))
	_, err := nobody.Execute(t.Context(), actiontest.Request(nobody, target, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "get pods"`)
	reader := actiontest.Connect(t, cluster.As(t, "reader"), evict)
	cluster.Grant(t, "reader", "get pods")
	_, err = reader.Execute(t.Context(), actiontest.Request(reader, target, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "create pods/eviction"`)
}
