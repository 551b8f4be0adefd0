package label_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/kubeobject"
	"riposte/responder/action/label"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func set(c *kubeobject.Client, _ kubernetes.Interface) action.Action { return label.New(c) }

func annotate(c *kubeobject.Client, _ kubernetes.Interface) action.Action {
	return label.NewAnnotate(c)
}

func pod(namespace string) func(testing.TB, *kubetest.Cluster, string) action.Target {
	return func(t testing.TB, cluster *kubetest.Cluster, name string) action.Target {
		uid := cluster.CreatePod(t, namespace, name, "node-1", kubetest.Labels(map[string]string{"app": "cart", "tier": "front"}))
		return actiontest.Pod(namespace, name, uid)
	}
}

func TestLabel(t *testing.T) {
	actiontest.Conform(t, actiontest.Case{
		Make: set, Target: pod("label"), Params: `{"labels": {"app": "", "example.com/suspect": "yes"}}`, Refusal: "get pods",
	})
}

func TestAnnotate(t *testing.T) {
	actiontest.Conform(t, actiontest.Case{
		Make: annotate, Target: pod("annotate"), Params: `{"annotations": {"example.com/incident": "seen\nby us"}}`, Refusal: "get pods",
	})
}

// The other kinds of targets: that the declared permissions reach each.
func TestKinds(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, set)
	targets := map[string]action.Target{"node": actiontest.Node(t, cluster, "label-node")}
	for _, resource := range []string{kubeobject.Deployments, kubeobject.StatefulSets, kubeobject.DaemonSets, kubeobject.ReplicaSets, kubeobject.CronJobs} {
		targets[resource] = actiontest.Workload(t, cluster, resource, "kinds", "cart")
	}
	namespace := action.Target{Kind: action.KindObject, Cluster: "c", Resource: kubeobject.Namespaces, Name: "kinds"}
	namespace.UID = string(actiontest.Get(t, cluster, namespace).GetUID())
	targets["namespace"] = namespace
	for name, target := range targets {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			const params = `{"labels": {"example.com/suspect": "yes"}}`
			require.NoError(t, a.Check(target, json.RawMessage(params)))
			r := actiontest.Request(a, target, params)
			result, err := a.Execute(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, "yes", actiontest.Get(t, cluster, target).GetLabels()["example.com/suspect"])
			r.Before = result.Before
			_, err = a.(action.Undoer).Undo(t.Context(), r)
			require.NoError(t, err)
			require.NotContains(t, actiontest.Get(t, cluster, target).GetLabels(), "example.com/suspect")
		})
	}
}

// Of two labels somebody changes one: the undo brings back the other alone.
func TestUndoAfterSomebodyElsesChange(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, set)
	target := pod("undo")(t, cluster, "cart")
	r := actiontest.Request(a, target, `{"labels": {"app": "evil", "tier": ""}}`)
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "set metadata.labels.app, metadata.labels.tier", result.Note)
	require.JSONEq(t, `{"metadata.labels.app": "evil", "metadata.labels.tier": null}`, string(result.After))

	actiontest.Edit(t, cluster, target, func(o *unstructured.Unstructured) {
		labels := o.GetLabels()
		labels["app"] = "theirs"
		o.SetLabels(labels)
	})
	r.Before = result.Before
	result, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "brought back metadata.labels.tier; left metadata.labels.app alone: somebody else has changed it since", result.Note)
	o := actiontest.Get(t, cluster, target)
	require.Equal(t, map[string]string{"app": "theirs", "tier": "front"}, o.GetLabels())
	require.Empty(t, o.GetAnnotations())
}

// The value on the object is an attacker's, if the pod may write to itself.
func TestForgedNoteOnTheObject(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, set)
	target := pod("forged")(t, cluster, "cart")
	for _, text := range []string{"{", `{"id": "other"}`, `[]`, `{"id": "x", "fields": [{"path": []}]}`} {
		actiontest.Edit(t, cluster, target, func(o *unstructured.Unstructured) { o.SetAnnotations(map[string]string{"riposte.dev/label": text}) })
		r := actiontest.Request(a, target, `{"labels": {"example.com/suspect": "`+strings.Repeat("x", len(text))+`"}}`)
		_, err := a.Execute(t.Context(), r)
		require.NoError(t, err)
		_, err = a.Verify(t.Context(), r)
		require.NoError(t, err)
	}
}

func TestParams(t *testing.T) {
	target := actiontest.Pod("shop", "cart", "0b9d4f0e")
	for params, want := range map[string]string{
		`{}`:                                    "params.labels: is missing",
		`{"labels": {}}`:                        "params.labels: has 0 keys",
		`{"labels": []}`:                        "params.labels: is no map",
		`{"labels": {"a b": "x"}}`:              `params.labels: "a b": `,
		`{"labels": {"riposte.dev/x": "x"}}`:    "are Riposte's own",
		`{"labels": {"a": "b c"}}`:              `params.labels: the value of "a": `,
		`{"labels": {"a": 1}}`:                  `params.labels: the value of "a" is no text`,
		`{"labels": {"a": "b"}, "force": true}`: `unknown key "force": label knows labels`,
	} {
		require.ErrorContains(t, label.New(nil).Check(target, json.RawMessage(params)), want, params)
	}
	long := `{"annotations": {"a": "` + strings.Repeat("x", 4097) + `"}}`
	require.ErrorContains(t, label.NewAnnotate(nil).Check(target, json.RawMessage(long)), "has more than 4096 bytes")
	target = action.Target{Kind: action.KindWorkload, Resource: "v1/secrets", Namespace: "shop", Name: "x", UID: "u"}
	require.ErrorContains(t, label.New(nil).Check(target, json.RawMessage(`{"labels": {"a": "b"}}`)), `target.resource: "v1/secrets": label acts on apps/v1/deployments`)
}
