package suspendcronjob_test

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
	"riposte/responder/action/suspendcronjob"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func suspend(c *kubeobject.Client, _ kubernetes.Interface) action.Action {
	return suspendcronjob.New(c)
}

func TestSuspend(t *testing.T) {
	actiontest.Conform(t, actiontest.Case{
		Make: suspend, Refusal: "get cronjobs.batch",
		Target: func(t testing.TB, cluster *kubetest.Cluster, name string) action.Target {
			return actiontest.Workload(t, cluster, kubeobject.CronJobs, "suspend", name)
		},
	})
}

// Somebody lifts the suspension and suspends the job again, for reasons of their own.
func TestUndoLeavesSomebodyElsesSuspension(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, suspend)
	target := actiontest.Workload(t, cluster, kubeobject.CronJobs, "others", "cart")
	r := actiontest.Request(a, target, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	for _, v := range []bool{false, true} {
		actiontest.Edit(t, cluster, target, func(o *unstructured.Unstructured) {
			require.NoError(t, unstructured.SetNestedField(o.Object, v, "spec", "suspend"))
		})
	}
	r.Before = result.Before
	result, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "somebody else has changed it since")
	suspended, _, _ := unstructured.NestedBool(actiontest.Get(t, cluster, target).Object, "spec", "suspend")
	require.True(t, suspended)
}
