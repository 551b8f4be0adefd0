package cordonnode_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/cordonnode"
	"riposte/responder/action/kubeobject"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func cordon(c *kubeobject.Client, _ kubernetes.Interface) action.Action { return cordonnode.New(c) }

func uncordon(c *kubeobject.Client, _ kubernetes.Interface) action.Action {
	return cordonnode.NewUncordon(c)
}

func TestCordon(t *testing.T) {
	actiontest.Conform(t, actiontest.Case{
		Make: cordon, Params: "{}", Refusal: "get nodes",
		Target: func(t testing.TB, cluster *kubetest.Cluster, name string) action.Target {
			return actiontest.Node(t, cluster, "cordon-"+name)
		},
	})
}

func TestUncordon(t *testing.T) {
	actiontest.Conform(t, actiontest.Case{
		Make: uncordon, Refusal: "get nodes",
		Target: func(t testing.TB, cluster *kubetest.Cluster, name string) action.Target {
			node := actiontest.Node(t, cluster, "uncordon-"+name)
			actiontest.Edit(t, cluster, node, setUnschedulable(true))
			return node
		},
	})
}

func setUnschedulable(v bool) func(*unstructured.Unstructured) {
	return func(o *unstructured.Unstructured) {
		if v {
			_ = unstructured.SetNestedField(o.Object, true, "spec", "unschedulable")
		} else {
			unstructured.RemoveNestedField(o.Object, "spec", "unschedulable")
		}
	}
}

func unschedulable(t *testing.T, cluster *kubetest.Cluster, node action.Target) bool {
	v, _, _ := unstructured.NestedBool(actiontest.Get(t, cluster, node).Object, "spec", "unschedulable")
	return v
}

// A person uncordons the node and cordons it again, for reasons of their own: the
// value is the one that we set, but the cordon is not ours any more.
func TestUndoLeavesSomebodyElsesCordon(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, cordon)
	node := actiontest.Node(t, cluster, "others")
	r := actiontest.Request(a, node, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "set spec.unschedulable", result.Note)
	require.True(t, unschedulable(t, cluster, node))

	actiontest.Edit(t, cluster, node, setUnschedulable(false))
	actiontest.Edit(t, cluster, node, setUnschedulable(true))
	r.Before = result.Before
	result, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "left spec.unschedulable alone: somebody else has changed it since", result.Note)
	require.True(t, unschedulable(t, cluster, node))
}

func TestUndoOfWhatSomebodyElseLifted(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, cordon)
	node := actiontest.Node(t, cluster, "lifted")
	r := actiontest.Request(a, node, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	actiontest.Edit(t, cluster, node, setUnschedulable(false))
	r.Before = result.Before
	_, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.False(t, unschedulable(t, cluster, node))
}
