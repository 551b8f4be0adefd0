package scaleworkload_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/kubeobject"
	"riposte/responder/action/scaleworkload"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func scale(c *kubeobject.Client, _ kubernetes.Interface) action.Action { return scaleworkload.New(c) }

func TestScale(t *testing.T) {
	actiontest.Conform(t, actiontest.Case{
		Make: scale, Params: `{"replicas": 0}`, Refusal: "get deployments.apps",
		Target: func(t testing.TB, cluster *kubetest.Cluster, name string) action.Target {
			return actiontest.Workload(t, cluster, kubeobject.Deployments, "scale", name)
		},
		Settle: func(t testing.TB, cluster *kubetest.Cluster, target action.Target) {
			actiontest.Report(t, cluster, target, map[string]any{"replicas": int64(0)})
		},
	})
}

// Somebody gives the workload another size while ours holds.
func TestUndoAfterSomebodyElsesChange(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, scale)
	target := actiontest.Workload(t, cluster, kubeobject.StatefulSets, "undo", "cart")
	r := actiontest.Request(a, target, `{"replicas": 0}`)
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	actiontest.Edit(t, cluster, target, func(o *unstructured.Unstructured) {
		require.NoError(t, unstructured.SetNestedField(o.Object, int64(1), "spec", "replicas"))
	})
	r.Before = result.Before
	result, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "left spec.replicas alone: somebody else has changed it since", result.Note)
	replicas, _, _ := unstructured.NestedInt64(actiontest.Get(t, cluster, target).Object, "spec", "replicas")
	require.Equal(t, int64(1), replicas)
}

func TestParams(t *testing.T) {
	target := action.Target{Kind: action.KindWorkload, Resource: kubeobject.Deployments, Namespace: "shop", Name: "cart", UID: "u"}
	for params, want := range map[string]string{
		`{}`:                 "params.replicas: is missing",
		`{"replicas": -1}`:   "params.replicas: -1 is not from 0 to 1000",
		`{"replicas": 1001}`: "params.replicas: 1001 is not from 0 to 1000",
		`{"replicas": 0.5}`:  "params.replicas: is a number 0.5",
		`{"replicas": "0"}`:  "params.replicas: is no number",
	} {
		require.ErrorContains(t, scaleworkload.New(nil).Check(target, json.RawMessage(params)), want, params)
	}
	target.Resource = kubeobject.DaemonSets
	require.ErrorContains(t, scaleworkload.New(nil).Check(target, json.RawMessage(`{"replicas": 0}`)), "target.resource: ")
}
