package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"riposte/deploy/e2e/kubetest"
	"riposte/deploy/standalone"
	"riposte/deploy/standalone/sandbox"
	"riposte/responder/action/deletepod"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

// startPod runs a container in the cgroup that a kubelet gives a pod of that UID.
func startPod(t testing.TB, uid string) (box *sandbox.Sandbox, kill func()) {
	t.Helper()
	layout := "kubepods/besteffort/pod" + uid + "/%s"
	box, err := sandbox.Start(sandbox.Options{Root: cgroupRoot(t), Cgroup: layout})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, box.Close()) })
	return box, func() {
		group := filepath.Join(cgroupRoot(t), "kubepods/besteffort/pod"+uid, "cgroup.kill")
		require.NoError(t, os.WriteFile(group, []byte("1"), 0))
	}
}

// awaitAction waits until the newest action about a container or pod is over.
func awaitAction(t testing.TB, s *standalone.Stack, f client.ActionFilter, over func(api.Action) bool) (a api.Action) {
	t.Helper()
	require.Eventually(t, func() bool {
		actions, err := s.Client().Actions(t.Context(), f)
		if err != nil || len(actions.Items) == 0 {
			return false
		}
		a = actions.Items[0]
		return over(a)
	}, 30*time.Second, 20*time.Millisecond)
	return a
}

// TestACriticalAlertDeletesThePod is the whole path on a real API server: the
// agent names the pod by its cgroup's UID, the responder deletes that pod, and
// the one that takes its name stays.
func TestACriticalAlertDeletesThePod(t *testing.T) {
	needRoot(t)
	cluster := kubetest.Start(t)
	cluster.CreateNode(t, "node-1")
	uid := cluster.CreatePod(t, "shop", "cart", "node-1", kubetest.Labels(map[string]string{"app": "cart"}))
	protected := cluster.CreatePod(t, "kube-system", "dns", "node-1")
	cluster.Grant(t, "riposte", append([]string{"list pods", "watch pods"}, deletepod.New(nil).Spec().Permissions...)...)

	box, kill := startPod(t, uid)
	stopped := make(chan string, 10)
	cluster.FinishDeletions(t, "node-1", func(_ context.Context, pod *corev1.Pod) {
		stopped <- string(pod.UID)
		kill()
	})
	s := start(t, func(o *standalone.Options) { o.Node, o.Kubeconfig = "node-1", cluster.As(t, "riposte") })

	require.NoError(t, box.Type(standalone.Attack))
	done := awaitAction(t, s, client.ActionFilter{Type: "delete_pod"}, func(a api.Action) bool { return a.VerifiedAt != nil })
	cluster.WaitGone(t, "shop", "cart", uid)
	require.Equal(t, uid, <-stopped)
	<-box.Exited()
	alert, err := s.Client().Alert(t.Context(), done.AlertID)
	require.NoError(t, err)
	require.Equal(t, []string{"shop", "cart", uid, "bound"}, []string{alert.Namespace, alert.Pod, alert.PodUID, alert.Binding})
	require.Contains(t, string(alert.Body), `"app":"cart"`)

	// The successor has the name, and is attacked by nobody.
	successor := cluster.CreatePod(t, "shop", "cart", "node-1")
	next, _ := startPod(t, successor)

	// A pod in a protected namespace survives, with the refusal on record.
	guarded, _ := startPod(t, protected)
	require.NoError(t, guarded.Type(standalone.Attack))
	refused := awaitAction(t, s, client.ActionFilter{State: "refused"}, func(api.Action) bool { return true })
	require.Equal(t, "protected-namespace", refused.RefusedBy)
	record, err := s.Client().Audit(t.Context(), client.AuditFilter{Action: refused.ID})
	require.NoError(t, err)
	require.Len(t, record.Items, 1)
	require.Equal(t, "action.refused", record.Items[0].Kind)

	require.Equal(t, successor, cluster.UID(t, "shop", "cart"))
	require.Equal(t, protected, cluster.UID(t, "kube-system", "dns"))
	for _, alive := range []*sandbox.Sandbox{next, guarded} {
		n, err := alive.Processes()
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	require.Empty(t, stopped, "one pod was deleted")
}
