package e2e_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/enrich/pod"
	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/deletepod"
	"riposte/responder/action/kubeobject"
	"riposte/responder/kube"
	"riposte/responder/playbook"
)

// Both halves' views of one pod fit together: the agent names the pod that a
// cgroup's UID stands for, the responder binds that name to the node, and the
// action deletes this pod and leaves the one alone that takes its name.
func TestPodFromNodeToDeletion(t *testing.T) {
	cluster := kubetest.Start(t)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })

	// The node's half has the permissions of an agent, the other those that the
	// binder and the action need.
	cluster.Grant(t, "agent", "list pods", "watch pods")
	cluster.Grant(t, "responder", append([]string{"list pods", "watch pods"}, deletepod.New(nil).Spec().Permissions...)...)
	lookup, err := pod.New(cluster.As(t, "agent"), "node-1", log)
	require.NoError(t, err)
	running.Go(func() { lookup.Run(ctx) })
	client, err := kube.Connect(t.Context(), cluster.As(t, "responder"))
	require.NoError(t, err)
	binder, err := kube.NewBinder(client, log)
	require.NoError(t, err)
	running.Go(func() { binder.Run(ctx) })
	soon, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	require.NoError(t, binder.WaitSynced(soon))
	actions := action.NewRegistry(deletepod.New(kubeobject.New(client.Dynamic)))

	cluster.CreateNode(t, "node-1")
	uid := cluster.CreatePod(t, "shop", "cart", "node-1", kubetest.Owner("cart-6d5"))
	cluster.FinishDeletions(t, "node-1", nil)
	require.Eventually(t, func() bool { _, ok := lookup.Pod(uid); return ok }, 20*time.Second, time.Millisecond)
	seen, _ := lookup.Pod(uid)

	binding, bound, err := binder.Bind("node-1", seen.UID)
	require.NoError(t, err)
	require.Equal(t, playbook.Bound, binding)
	require.Equal(t, seen.Name, bound.Name)
	require.Equal(t, seen.Owner, bound.Owner)
	forged, _, _ := binder.Bind("node-2", seen.UID)
	require.Equal(t, playbook.Forged, forged)

	params := json.RawMessage(`{"grace_seconds": 1}`)
	target := action.Target{Kind: "pod", Cluster: "c", Node: bound.Node, Namespace: bound.Namespace, Name: bound.Name, UID: bound.UID}
	require.NoError(t, actions.Check(deletepod.Type, target, params))
	request := action.Request{ID: "a-1", Type: deletepod.Type, Target: target, Params: params, Attempt: 1}
	_, err = actions[deletepod.Type].Execute(soon, request)
	require.NoError(t, err)
	_, err = actions[deletepod.Type].Verify(soon, request)
	require.NoError(t, err)

	successor := cluster.CreatePod(t, "shop", "cart", "node-1")
	request.Attempt = 2
	result, err := actions[deletepod.Type].Execute(soon, request)
	require.NoError(t, err)
	require.Contains(t, result.Note, "replaced")
	require.Equal(t, successor, cluster.UID(t, "shop", "cart"))
	binding, _, _ = binder.Bind("node-1", uid)
	require.Equal(t, playbook.Bound, binding, "an alert that was underway still finds its pod")
}
