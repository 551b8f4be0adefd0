package deleteresource_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/deleteresource"
	"riposte/responder/action/kubeobject"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func remove(c *kubeobject.Client, _ kubernetes.Interface) action.Action {
	return deleteresource.New(c)
}

func config(t *testing.T, cluster *kubetest.Cluster, name string) action.Target {
	cluster.CreateNamespace(t, "delete")
	return actiontest.Create(t, cluster, action.KindObject, "v1/configmaps", &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"namespace": "delete", "name": name}, "data": map[string]any{"key": "hunter2"},
	}})
}

func TestDelete(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, remove)
	target := config(t, cluster, "evil")
	other := config(t, cluster, "good")
	require.NoError(t, a.Check(target, []byte("{}")))
	r := actiontest.Request(a, target, "")
	text, err := a.(action.Previewer).Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, "-kind: ConfigMap")
	require.NotContains(t, text, "hunter2")
	_, err = a.Verify(actiontest.Soon(t, 200*time.Millisecond), r)
	require.ErrorContains(t, err, "no deletion has been asked for", "a preview changes nothing")

	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "deletion of configmap delete/evil was accepted", result.Note)
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.NoError(t, err)
	// After a crash the same request comes again.
	result, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "the configmap was already gone", result.Note)
	actiontest.Get(t, cluster, other)
}

func TestWorkload(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, remove)
	for _, resource := range []string{kubeobject.Deployments, kubeobject.StatefulSets, kubeobject.DaemonSets, kubeobject.ReplicaSets, kubeobject.CronJobs} {
		target := actiontest.Workload(t, cluster, resource, "workloads", "evil")
		require.NoError(t, a.Check(target, nil))
		r := actiontest.Request(a, target, "")
		_, err := a.Execute(t.Context(), r)
		require.NoError(t, err)
		_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
		require.NoError(t, err)
	}
}

func TestReplacementSurvives(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, remove)
	target := config(t, cluster, "replaced")
	successor := target
	successor.UID = actiontest.Replace(t, cluster, target)
	result, err := a.Execute(t.Context(), actiontest.Request(a, target, ""))
	require.NoError(t, err)
	require.Contains(t, result.Note, "replaced by another of its name ("+successor.UID+"), which was left alone")
	require.Nil(t, actiontest.Get(t, cluster, successor).GetDeletionTimestamp())
}

func TestRefused(t *testing.T) {
	cluster := kubetest.Shared(t)
	nobody := actiontest.Connect(t, cluster.As(t, "nobody"), remove)
	_, err := nobody.Execute(t.Context(), actiontest.Request(nobody, config(t, cluster, "refused"), ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "delete configmaps"`)
	for _, resource := range []string{"v1/secrets", "v1/namespaces", "v1/pods", "rbac.authorization.k8s.io/v1/clusterrolebindings", "v1/configmaps/status"} {
		target := action.Target{Kind: action.KindObject, Resource: resource, Namespace: "x", Name: "y", UID: "z"}
		require.ErrorContains(t, nobody.Check(target, nil), "target.resource: ", resource)
	}
}
