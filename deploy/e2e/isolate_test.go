package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"riposte/deploy/e2e/kubetest"
	"riposte/deploy/standalone"
	"riposte/responder/action/isolatepod"
	"riposte/responder/action/label"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

// isolating replaces the playbook of that name: instead of deleting it isolates,
// and marks the namespace.
const isolating = `# METADATA
# scope: package
# title: Isolate the pod on a Critical alert
# description: Keeps the suspect for a look.
# custom: {owner: test, trigger: {priority: critical}, mode: enforce, severity: critical}
package playbooks.delete_pod_on_critical

import data.riposte.lib.alert
import data.riposte.lib.target

action contains {"type": "isolate_pod", "target": target.pod, "reason": alert.reason}

action contains {"type": "annotate", "target": target.pod, "params": {"annotations": {"example.com/suspect": "yes"}}, "reason": alert.reason}
`

// TestACriticalAlertIsolatesThePod is the path of an action that changes and keeps
// its object, with no more rights than the two actions declare.
func TestACriticalAlertIsolatesThePod(t *testing.T) {
	needRoot(t)
	cluster := kubetest.Start(t)
	cluster.CreateNode(t, "node-1")
	uid := cluster.CreatePod(t, "shop", "cart", "node-1", kubetest.Labels(map[string]string{"app": "cart"}))
	permissions := append([]string{"list pods", "watch pods"}, isolatepod.New(nil).Spec().Permissions...)
	cluster.Grant(t, "riposte", append(permissions, label.NewAnnotate(nil).Spec().Permissions...)...)
	playbooks := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(playbooks, "delete_pod_on_critical.rego"), []byte(isolating), 0o644))

	box, _ := startPod(t, uid)
	s := start(t, func(o *standalone.Options) {
		o.Node, o.Kubeconfig, o.Playbooks = "node-1", cluster.As(t, "riposte"), playbooks
	})
	require.NoError(t, box.Type(standalone.Attack))
	for _, kind := range []string{"isolate_pod", "annotate"} {
		done := awaitAction(t, s, client.ActionFilter{Type: kind}, func(a api.Action) bool { return a.VerifiedAt != nil })
		require.Equal(t, "succeeded", done.State, done.Note)
	}
	pod, err := cluster.Client.CoreV1().Pods("shop").Get(t.Context(), "cart", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, uid, string(pod.UID), "it is kept")
	require.Equal(t, uid, pod.Labels["riposte.dev/isolated"])
	require.Equal(t, "yes", pod.Annotations["example.com/suspect"])
	policy, err := cluster.Client.NetworkingV1().NetworkPolicies("shop").Get(t.Context(), "riposte-isolate-"+uid, metav1.GetOptions{})
	require.NoError(t, err)
	require.Empty(t, policy.Spec.Ingress)
	require.Empty(t, policy.Spec.Egress)
}
