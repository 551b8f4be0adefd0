package snapshotobject_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/kubeobject"
	"riposte/responder/action/snapshotobject"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func snapshot(c *kubeobject.Client, _ kubernetes.Interface) action.Action {
	return snapshotobject.New(c)
}

type evidence struct {
	Manifest map[string]any
	Owners   []struct{ Kind, Name, UID string }
	Events   []struct{ Reason, Message string }
	Dropped  int `json:"dropped_events"`
}

func execute(t *testing.T, a action.Action, target action.Target) (evidence, action.Result) {
	t.Helper()
	require.NoError(t, a.Check(target, json.RawMessage("{}")))
	result, err := a.Execute(t.Context(), actiontest.Request(a, target, ""))
	require.NoError(t, err)
	var e evidence
	require.NoError(t, json.Unmarshal(result.Evidence, &e))
	require.False(t, result.VerifiedAt.IsZero())
	return e, result
}

func emit(t *testing.T, cluster *kubetest.Cluster, target action.Target, name, message string, at time.Time) {
	namespace := target.Namespace
	if namespace == "" {
		namespace = "default"
	}
	_, err := cluster.Client.CoreV1().Events(namespace).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: name},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: target.Namespace, Name: target.Name, UID: types.UID(target.UID)},
		Reason:         "Pulled", Message: message, Type: "Normal", LastTimestamp: metav1.NewTime(at), Count: 1,
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func TestPodWithItsOwnersAndEvents(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, snapshot)
	deployment := actiontest.Workload(t, cluster, kubeobject.Deployments, "snap", "cart")
	yes := true
	owned := func(kind string, by action.Target) []metav1.OwnerReference {
		return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: by.Name, UID: types.UID(by.UID), Controller: &yes}}
	}
	set := actiontest.Workload(t, cluster, kubeobject.ReplicaSets, "snap", "cart-6d5")
	rs, err := cluster.Client.AppsV1().ReplicaSets("snap").Get(t.Context(), set.Name, metav1.GetOptions{})
	require.NoError(t, err)
	rs.OwnerReferences = owned("Deployment", deployment)
	_, err = cluster.Client.AppsV1().ReplicaSets("snap").Update(t.Context(), rs, metav1.UpdateOptions{})
	require.NoError(t, err)
	uid := cluster.CreatePod(t, "snap", "cart-6d5-x", "node-1", func(pod *corev1.Pod) {
		pod.OwnerReferences = owned("ReplicaSet", set)
		pod.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"env": "hunter2"}`, "note": "kept"}
		pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "PASSWORD", Value: "hunter2"}, {Name: "EMPTY"}}
		pod.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "x", Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "hunter2"}}}}
	})
	target := actiontest.Pod("snap", "cart-6d5-x", uid)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 60 {
		emit(t, cluster, target, fmt.Sprintf("e%d", i), fmt.Sprintf("event %d", i), begin.Add(time.Duration(i)*time.Minute))
	}
	other := target
	other.UID = "another-pods"
	emit(t, cluster, other, "other", "not ours", begin.Add(time.Hour*24))

	e, result := execute(t, a, target)
	require.NotContains(t, string(result.Evidence), "hunter2")
	require.Contains(t, string(result.Evidence), "PASSWORD", "the name of a variable is no secret")
	require.Equal(t, "kept", e.Manifest["metadata"].(map[string]any)["annotations"].(map[string]any)["note"])
	require.Len(t, e.Owners, 2)
	require.Equal(t, "ReplicaSet cart-6d5 "+set.UID, e.Owners[0].Kind+" "+e.Owners[0].Name+" "+e.Owners[0].UID)
	require.Equal(t, "Deployment", e.Owners[1].Kind)
	require.Len(t, e.Events, 50)
	require.Equal(t, "event 59", e.Events[0].Message, "the newest comes first")
	require.Equal(t, 10, e.Dropped)
	require.Equal(t, "kept the manifest, 2 owners and 50 events", result.Note)
}

func TestKinds(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, snapshot)
	node := actiontest.Node(t, cluster, "snap-node")
	byName := node
	byName.UID = node.Name // as kubelets write it
	emit(t, cluster, byName, "pressure", "low on disk", time.Now())
	e, _ := execute(t, a, node)
	require.Equal(t, "low on disk", e.Events[0].Message)

	e, result := execute(t, a, actiontest.Workload(t, cluster, kubeobject.StatefulSets, "kinds", "db"))
	require.Equal(t, "StatefulSet", e.Manifest["kind"])
	require.NotContains(t, string(result.Evidence), "hunter2")
	require.ErrorContains(t, a.Check(action.Target{Kind: action.KindObject, Resource: "v1/secrets", Namespace: "x", Name: "y", UID: "z"}, nil), "target.resource: ")
}

// Evidence of what is gone cannot be gathered, and a success would say that it was.
func TestGoneAndReplaced(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, snapshot)
	target := actiontest.Pod("gone", "cart", cluster.CreatePod(t, "gone", "cart", "node-1"))
	actiontest.Replace(t, cluster, target)
	r := actiontest.Request(a, target, "")
	_, err := a.Execute(t.Context(), r)
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "there is nothing to keep: the pod was already gone and was replaced")
	_, err = a.Verify(t.Context(), r)
	require.Equal(t, action.Permanent, action.KindOf(err))
	text, err := a.(action.Previewer).Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, "already gone")
}

func TestRefused(t *testing.T) {
	cluster := kubetest.Shared(t)
	target := actiontest.Pod("refused", "cart", cluster.CreatePod(t, "refused", "cart", "node-1"))
	reader := actiontest.Connect(t, cluster.As(t, "reader"), snapshot)
	cluster.Grant(t, "reader", "get pods")
	_, err := reader.Execute(t.Context(), actiontest.Request(reader, target, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "list events"`)
}
