package execute_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/kubeobject"
	"riposte/responder/action/label"
	"riposte/responder/execute"
	"riposte/responder/store/storetest"
)

// Two executors, a real object: what the action changed is brought back when its time
// is over, once, and what somebody else has changed since stays.
func TestLiftOnARealObject(t *testing.T) {
	cluster := kubetest.Start(t)
	s := storetest.New(t)
	a := actiontest.Declared(t, cluster, func(c *kubeobject.Client, _ kubernetes.Interface) action.Action { return label.New(c) })
	var o execute.Options
	for _, name := range []string{"one", "two"} {
		o = options(s, a)
		o.Instance = name
		run(t, o)
	}
	uid := cluster.CreatePod(t, "shop", "cart", "node-1", kubetest.Labels(map[string]string{"app": "cart", "tier": "front"}))
	target := actiontest.Pod("shop", "cart", uid)
	id := planned(t, s, func(p *plan) {
		p.kind, p.target, p.params, p.ttl = "label", &target, `{"labels": {"app": "evil", "tier": ""}}`, time.Hour
	})
	require.Equal(t, "succeeded", ended(t, s, id).State)
	require.NotEmpty(t, readLift(t, s, id).Before)
	require.Equal(t, map[string]string{"app": "evil"}, actiontest.Get(t, cluster, target).GetLabels())
	actiontest.Edit(t, cluster, target, func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"app": "theirs"}) })

	_, err := s.Pool().Exec(t.Context(), `UPDATE actions SET lift_ns = 1 WHERE id = $1`, id) // the hour is over
	require.NoError(t, err)
	l := awaitLift(t, s, id, isLifted)
	require.Equal(t, "brought back metadata.labels.tier; left metadata.labels.app alone: somebody else has changed it since", l.Note)
	require.Equal(t, map[string]string{"app": "theirs", "tier": "front"}, actiontest.Get(t, cluster, target).GetLabels())
	require.Equal(t, []string{"action.lifted lifted system:execute its time was over"}, liftEntries(t, s, id))
}
