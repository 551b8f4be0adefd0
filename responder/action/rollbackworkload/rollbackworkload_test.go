package rollbackworkload_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/kubeobject"
	"riposte/responder/action/rollbackworkload"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func rollback(c *kubeobject.Client, _ kubernetes.Interface) action.Action {
	return rollbackworkload.New(c)
}

// release gives the workload another image and keeps the template as its
// controller does, under the number.
func release(t testing.TB, cluster *kubetest.Cluster, target action.Target, number int, image string) {
	actiontest.Edit(t, cluster, target, func(o *unstructured.Unstructured) {
		containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
		containers[0].(map[string]any)["image"] = image
		require.NoError(t, unstructured.SetNestedSlice(o.Object, containers, "spec", "template", "spec", "containers"))
	})
	keep(t, cluster, target, number)
}

func keep(t testing.TB, cluster *kubetest.Cluster, target action.Target, number int) {
	o := actiontest.Get(t, cluster, target)
	template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
	name := fmt.Sprintf("%s-%d", target.Name, number)
	meta := map[string]any{
		"namespace": target.Namespace, "name": name,
		"ownerReferences": []any{map[string]any{"apiVersion": "apps/v1", "kind": o.GetKind(), "name": o.GetName(), "uid": string(o.GetUID()), "controller": true}},
	}
	if target.Resource != kubeobject.Deployments {
		template["$patch"] = "replace"
		actiontest.Create(t, cluster, action.KindObject, kubeobject.Revisions, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": meta, "revision": int64(number),
			"data": map[string]any{"spec": map[string]any{"template": template}},
		}})
		return
	}
	labels := map[string]any{"app": target.Name, "pod-template-hash": name}
	require.NoError(t, unstructured.SetNestedMap(template, labels, "metadata", "labels"))
	meta["annotations"] = map[string]any{"deployment.kubernetes.io/revision": fmt.Sprint(number)}
	actiontest.Create(t, cluster, action.KindObject, kubeobject.ReplicaSets, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta,
		"spec": map[string]any{"selector": map[string]any{"matchLabels": labels}, "template": template},
	}})
}

// released is a workload of three revisions.
func released(t testing.TB, cluster *kubetest.Cluster, resource, namespace, name string) action.Target {
	target := actiontest.Workload(t, cluster, resource, namespace, name)
	keep(t, cluster, target, 1)
	release(t, cluster, target, 2, "registry.example/good:2")
	release(t, cluster, target, 3, "registry.example/evil:3")
	return target
}

func image(t testing.TB, cluster *kubetest.Cluster, target action.Target) string {
	containers, _, _ := unstructured.NestedSlice(actiontest.Get(t, cluster, target).Object, "spec", "template", "spec", "containers")
	return containers[0].(map[string]any)["image"].(string)
}

func TestRollBack(t *testing.T) {
	cluster := kubetest.Shared(t)
	done := map[string]map[string]any{
		kubeobject.Deployments:  {"replicas": int64(3), "updatedReplicas": int64(3), "readyReplicas": int64(3), "availableReplicas": int64(3)},
		kubeobject.StatefulSets: {"replicas": int64(3), "updatedReplicas": int64(3), "readyReplicas": int64(3), "availableReplicas": int64(3)},
		kubeobject.DaemonSets: {
			"desiredNumberScheduled": int64(2), "currentNumberScheduled": int64(2), "updatedNumberScheduled": int64(2), "numberReady": int64(2), "numberMisscheduled": int64(0),
		},
	}
	for resource, status := range done {
		kind := resource[len("apps/v1/"):]
		t.Run(kind, func(t *testing.T) {
			a := actiontest.Declared(t, cluster, rollback)
			target := released(t, cluster, resource, "roll-"+kind, "cart")
			require.NoError(t, a.Check(target, json.RawMessage(a.Spec().Example)))
			r := actiontest.Request(a, target, "")
			was := actiontest.Get(t, cluster, target)
			text, err := a.(action.Previewer).Preview(t.Context(), r)
			require.NoError(t, err)
			require.Contains(t, text, "image: registry.example/good:2")
			require.NotContains(t, text, "hunter2")
			require.Equal(t, was, actiontest.Get(t, cluster, target))

			result, err := a.Execute(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, "rolled back from revision 3 to 2", result.Note)
			require.Equal(t, "registry.example/good:2", image(t, cluster, target))
			require.NotContains(t, string(result.Before), "hunter2")

			// After a crash the same request comes again, and goes back no further.
			r.Attempt = 2
			again, err := a.Execute(t.Context(), r)
			require.NoError(t, err)
			require.JSONEq(t, string(result.Before), string(again.Before))
			require.Equal(t, "registry.example/good:2", image(t, cluster, target))

			_, err = a.Verify(actiontest.Soon(t, 200*time.Millisecond), r)
			require.Error(t, err)
			actiontest.Report(t, cluster, target, status)
			_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
			require.NoError(t, err)

			r.Before = result.Before
			for range 2 {
				_, err = a.(action.Undoer).Undo(t.Context(), r)
				require.NoError(t, err)
				require.Equal(t, "registry.example/evil:3", image(t, cluster, target))
			}
		})
	}
}

func TestRevisions(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, rollback)
	target := released(t, cluster, kubeobject.Deployments, "revisions", "cart")
	_, err := a.Execute(t.Context(), actiontest.Request(a, target, `{"revision": 7}`))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "params.revision: Kubernetes has no revision 7; from 1 to 3 it has 3")
	result, err := a.Execute(t.Context(), actiontest.Request(a, target, `{"revision": 3}`))
	require.NoError(t, err)
	require.Contains(t, result.Note, "it was so already")
	_, err = a.Execute(t.Context(), actiontest.Request(a, target, `{"revision": 1}`))
	require.NoError(t, err)
	require.Equal(t, "registry.example/pause:1", image(t, cluster, target))
	// Its controller has not numbered the template anew yet.
	_, err = a.Execute(t.Context(), actiontest.Request(a, target, ""))
	require.Equal(t, action.Retryable, action.KindOf(err))
	require.ErrorContains(t, err, "its controller has not recorded the present template yet")

	single := actiontest.Workload(t, cluster, kubeobject.StatefulSets, "revisions", "single")
	keep(t, cluster, single, 1)
	_, err = a.Execute(t.Context(), actiontest.Request(a, single, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "there is no earlier revision than 1")
}

func TestUndoAfterSomebodyElsesChange(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, rollback)
	target := released(t, cluster, kubeobject.Deployments, "undo", "cart")
	r := actiontest.Request(a, target, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	release(t, cluster, target, 4, "registry.example/fixed:4")
	_, err = a.Verify(actiontest.Soon(t, 200*time.Millisecond), r)
	require.ErrorContains(t, err, "somebody else has changed the template since")
	r.Before = result.Before
	result, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "left the template alone: somebody else has changed it since", result.Note)
	require.Equal(t, "registry.example/fixed:4", image(t, cluster, target))

	// Kubernetes forgets old revisions.
	other := released(t, cluster, kubeobject.Deployments, "undo", "other")
	r = actiontest.Request(a, other, "")
	_, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.NoError(t, cluster.Client.AppsV1().ReplicaSets("undo").Delete(t.Context(), "other-3", metav1.DeleteOptions{}))
	result, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "Kubernetes has no revision 3 any more")
}

func TestGoneReplacedRefused(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, rollback)
	target := released(t, cluster, kubeobject.Deployments, "gone", "cart")
	nobody := actiontest.Connect(t, cluster.As(t, "nobody"), rollback)
	_, err := nobody.Execute(t.Context(), actiontest.Request(a, target, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "get deployments.apps"`)
	successor := target
	successor.UID = actiontest.Replace(t, cluster, target)
	was := actiontest.Get(t, cluster, successor)
	r := actiontest.Request(a, target, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "replaced by another of its name")
	_, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, was, actiontest.Get(t, cluster, successor))
	actiontest.Remove(t, cluster, successor)
	result, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "the deployment was already gone", result.Note)
	require.ErrorContains(t, a.Check(target, json.RawMessage(`{"revision": 0}`)), "revisions count from 1")
}
