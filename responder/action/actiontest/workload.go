package actiontest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Workload makes a workload of three pods, with the labels app=<name>, and returns
// it as a target. No pod is made: there is no controller.
func Workload(t testing.TB, cluster *kubetest.Cluster, resource, namespace, name string, changes ...func(o *unstructured.Unstructured)) action.Target {
	t.Helper()
	cluster.CreateNamespace(t, namespace)
	version, _, _ := strings.Cut(resource, "/")
	if strings.Count(resource, "/") == 2 {
		version = resource[:strings.LastIndex(resource, "/")]
	}
	app := map[string]any{"app": name}
	template := map[string]any{
		"metadata": map[string]any{"labels": app},
		"spec": map[string]any{"containers": []any{map[string]any{
			"name": "main", "image": "registry.example/pause:1", "env": []any{map[string]any{"name": "PASSWORD", "value": "hunter2"}},
		}}},
	}
	spec := map[string]any{"selector": map[string]any{"matchLabels": app}, "template": template, "replicas": int64(3)}
	kind := ""
	switch resource {
	case kubeobject.Deployments:
		kind = "Deployment"
	case kubeobject.ReplicaSets:
		kind = "ReplicaSet"
	case kubeobject.StatefulSets:
		kind = "StatefulSet"
		spec["serviceName"] = name
	case kubeobject.DaemonSets:
		kind = "DaemonSet"
		delete(spec, "replicas")
	case kubeobject.CronJobs:
		kind = "CronJob"
		pod := template["spec"].(map[string]any)
		pod["restartPolicy"] = "Never"
		spec = map[string]any{"schedule": "@hourly", "jobTemplate": map[string]any{"spec": map[string]any{"template": template}}}
	}
	require.NotEmpty(t, kind, "no workload of %s", resource)
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": version, "kind": kind,
		"metadata": map[string]any{"namespace": namespace, "name": name, "labels": app}, "spec": spec,
	}}
	for _, change := range changes {
		change(o)
	}
	return Create(t, cluster, action.KindWorkload, resource, o)
}

// Report writes a workload's status, as its controller does, with the newest
// generation as the observed one.
func Report(t testing.TB, cluster *kubetest.Cluster, target action.Target, status map[string]any) {
	t.Helper()
	Edit(t, cluster, target, func(o *unstructured.Unstructured) {
		status["observedGeneration"] = o.GetGeneration()
		o.Object["status"] = status
	}, "status")
}
