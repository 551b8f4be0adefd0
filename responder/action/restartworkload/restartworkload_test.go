package restartworkload_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/kubeobject"
	"riposte/responder/action/restartworkload"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func restart(c *kubeobject.Client, _ kubernetes.Interface) action.Action {
	return restartworkload.New(c)
}

func TestRestart(t *testing.T) {
	rolledOut := map[string]map[string]any{
		kubeobject.Deployments:  {"replicas": int64(3), "updatedReplicas": int64(3), "readyReplicas": int64(3), "availableReplicas": int64(3)},
		kubeobject.StatefulSets: {"replicas": int64(3), "updatedReplicas": int64(3), "readyReplicas": int64(3), "availableReplicas": int64(3)},
		kubeobject.DaemonSets: {
			"desiredNumberScheduled": int64(2), "currentNumberScheduled": int64(2), "updatedNumberScheduled": int64(2), "numberReady": int64(2), "numberMisscheduled": int64(0),
		},
	}
	for resource, status := range rolledOut {
		kind := resource[len("apps/v1/"):]
		t.Run(kind, func(t *testing.T) {
			actiontest.Conform(t, actiontest.Case{
				Make: restart, Refusal: "get " + kind + ".apps",
				Target: func(t testing.TB, cluster *kubetest.Cluster, name string) action.Target {
					return actiontest.Workload(t, cluster, resource, "restart-"+kind, name)
				},
				Settle: func(t testing.TB, cluster *kubetest.Cluster, target action.Target) {
					actiontest.Report(t, cluster, target, status)
				},
			})
		})
	}
}

func TestNoUndo(t *testing.T) {
	var a action.Action = restartworkload.New(nil)
	_, ok := a.(action.Undoer)
	require.False(t, ok, "pods that are gone do not come back")
}

func TestPausedDeployment(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, restart)
	target := actiontest.Workload(t, cluster, kubeobject.Deployments, "paused", "cart", func(o *unstructured.Unstructured) {
		require.NoError(t, unstructured.SetNestedField(o.Object, true, "spec", "paused"))
	})
	_, err := a.Execute(t.Context(), actiontest.Request(a, target, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "the deployment is paused")
}
