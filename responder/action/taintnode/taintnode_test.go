package taintnode_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/kubeobject"
	"riposte/responder/action/taintnode"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func taint(c *kubeobject.Client, _ kubernetes.Interface) action.Action { return taintnode.New(c) }

func TestTaint(t *testing.T) {
	actiontest.Conform(t, actiontest.Case{
		Make: taint, Params: `{"value": "yes"}`, Refusal: "get nodes",
		Target: func(t testing.TB, cluster *kubetest.Cluster, name string) action.Target {
			return actiontest.Node(t, cluster, "taint-"+name)
		},
	})
}

// add is what another one does: the node's controller, for instance.
func add(t *testing.T, cluster *kubetest.Cluster, node action.Target, taint map[string]any) {
	actiontest.Edit(t, cluster, node, func(o *unstructured.Unstructured) {
		list, _, _ := unstructured.NestedSlice(o.Object, "spec", "taints")
		require.NoError(t, unstructured.SetNestedSlice(o.Object, append(list, taint), "spec", "taints"))
	})
}

// taints are the node's, but for the one that each new node gets.
func taints(t *testing.T, cluster *kubetest.Cluster, node action.Target) []any {
	list, _, _ := unstructured.NestedSlice(actiontest.Get(t, cluster, node).Object, "spec", "taints")
	return slices.DeleteFunc(list, func(v any) bool { return v.(map[string]any)["key"] == "node.kubernetes.io/not-ready" })
}

// Other taints come before and after ours, and stay.
func TestUndoKeepsOtherTaints(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, taint)
	node := actiontest.Node(t, cluster, "others")
	before := map[string]any{"key": "a", "effect": "NoSchedule"}
	after := map[string]any{"key": "b", "value": "1", "effect": "NoSchedule"}
	add(t, cluster, node, before)
	r := actiontest.Request(a, node, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	add(t, cluster, node, after)
	require.Equal(t, []any{before, map[string]any{"key": "riposte.dev/suspect", "effect": "NoSchedule"}, after}, taints(t, cluster, node))
	_, err = a.Verify(t.Context(), r)
	require.NoError(t, err)

	r.Before = result.Before
	_, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, []any{before, after}, taints(t, cluster, node))
}

func TestUndoLeavesAChangedTaint(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, taint)
	node := actiontest.Node(t, cluster, "changed")
	r := actiontest.Request(a, node, `{"key": "k", "value": "ours"}`)
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	theirs := []any{map[string]any{"key": "k", "value": "theirs", "effect": "NoSchedule"}}
	actiontest.Edit(t, cluster, node, func(o *unstructured.Unstructured) {
		require.NoError(t, unstructured.SetNestedSlice(o.Object, theirs, "spec", "taints"))
	})
	r.Before = result.Before
	result, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "somebody else has changed it since")
	require.Equal(t, theirs, taints(t, cluster, node))

	_, err = a.Execute(t.Context(), actiontest.Request(a, node, `{"key": "k", "value": "ours"}`))
	require.Equal(t, action.Refused, action.KindOf(err))
	require.ErrorContains(t, err, "somebody else's")
}

func TestParams(t *testing.T) {
	node := action.Target{Kind: action.KindNode, Name: "n", UID: "u"}
	for params, want := range map[string]string{
		`{"key": ""}`:          `params.key: "": `,
		`{"key": "a b"}`:       `params.key: "a b": `,
		`{"value": "a b"}`:     `params.value: "a b": `,
		`{"effect": "NoRun"}`:  `params.effect: "NoRun": use NoSchedule, PreferNoSchedule, NoExecute`,
		`{"effects": "NoRun"}`: `unknown key "effects": taint_node knows key, value, effect`,
	} {
		require.ErrorContains(t, taintnode.New(nil).Check(node, json.RawMessage(params)), want, params)
	}
}
