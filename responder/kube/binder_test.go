package kube

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/playbook"
)

// binder makes a Binder for the cluster; clock moves its time forward.
func binder(t *testing.T, cluster *kubetest.Cluster) (b *Binder, clock *atomic.Int64) {
	client, err := Connect(t.Context(), cluster.Kubeconfig)
	require.NoError(t, err)
	clock = &atomic.Int64{}
	now := func() time.Time { return time.Unix(0, clock.Load()) }
	b, err = newBinder(client, slog.New(slog.NewTextHandler(t.Output(), nil)), newDirectory(rememberFor, rememberMax, now))
	require.NoError(t, err)
	return b, clock
}

func running(t *testing.T, cluster *kubetest.Cluster) (*Binder, *atomic.Int64) {
	b, clock := binder(t, cluster)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { b.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	wait, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	require.NoError(t, b.WaitSynced(wait))
	return b, clock
}

func TestBind(t *testing.T) {
	cluster := kubetest.Shared(t)
	labels := map[string]string{"app": "cart"}
	uid := cluster.CreatePod(t, "bind", "cart", "node-1", kubetest.Labels(labels), kubetest.Owner("cart-6d5"))
	waiting := cluster.CreatePod(t, "bind", "waiting", "")
	b, clock := running(t, cluster)
	want := &playbook.Pod{Namespace: "bind", Name: "cart", UID: uid, Node: "node-1", Labels: labels, Owner: "ReplicaSet/cart-6d5"}

	for name, tt := range map[string]struct {
		node, uid string
		binding   playbook.Binding
		pod       *playbook.Pod
	}{
		"no pod":                  {"node-1", "", playbook.None, nil},
		"its own node":            {"node-1", uid, playbook.Bound, want},
		"another node":            {"node-2", uid, playbook.Forged, nil},
		"made up":                 {"node-1", "made-up", playbook.Unbound, nil},
		"waits for its scheduler": {"node-1", waiting, playbook.Unbound, nil},
	} {
		t.Run(name, func(t *testing.T) {
			binding, pod, err := b.Bind(tt.node, tt.uid)
			require.NoError(t, err)
			require.Equal(t, tt.binding, binding)
			require.Equal(t, tt.pod, pod)
		})
	}

	// At no moment around its deletion is a pod unknown.
	cluster.ForceDelete(t, "bind", "cart")
	for {
		binding, pod, err := b.Bind("node-1", uid)
		require.NoError(t, err)
		require.Equal(t, playbook.Bound, binding)
		require.Equal(t, want, pod)
		if b.Stats().Remembered == 1 {
			break
		}
	}
	successor := cluster.CreatePod(t, "bind", "cart", "node-2")
	binding, _, _ := b.Bind("node-2", successor)
	require.Equal(t, playbook.Bound, binding)
	binding, _, _ = b.Bind("node-2", uid)
	require.Equal(t, playbook.Forged, binding, "the deleted one was elsewhere")

	clock.Add(int64(rememberFor))
	binding, _, _ = b.Bind("node-1", uid)
	require.Equal(t, playbook.Unbound, binding, "after ten minutes it is forgotten")
	require.Zero(t, b.Stats().ForgottenEarly)
}

// An alert that no node vouches for names its pod.
func TestBindNamed(t *testing.T) {
	cluster := kubetest.Shared(t)
	uid := cluster.CreatePod(t, "named", "cart", "node-1")
	cluster.CreatePod(t, "named", "waiting", "")
	b, _ := running(t, cluster)
	silent, _ := binder(t, cluster) // has to ask
	now := time.Now().Add(time.Minute)
	for name, tt := range map[string]struct {
		namespace, pod, uid string
		at                  time.Time
		binding             playbook.Binding
	}{
		"its name":              {"named", "cart", "", now, playbook.Bound},
		"its name and UID":      {"named", "cart", uid, now, playbook.Bound},
		"its UID, another name": {"named", "other", uid, now, playbook.Forged},
		"another's UID":         {"named", "cart", "made-up", now, playbook.Unbound},
		"before it was made":    {"named", "cart", "", now.Add(-time.Hour), playbook.Unbound},
		"no such pod":           {"named", "none", "", now, playbook.Unbound},
		"no name that can be":   {"named", "../cart", "", now, playbook.Unbound},
		"without a namespace":   {"", "cart", "", now, playbook.Unbound},
		"waits for its node":    {"named", "waiting", "", now, playbook.Unbound},
	} {
		t.Run(name, func(t *testing.T) {
			binding, pod, err := b.BindNamed(tt.namespace, tt.pod, tt.uid, tt.at)
			require.NoError(t, err)
			require.Equal(t, tt.binding, binding)
			require.Equal(t, tt.binding == playbook.Bound, pod != nil)
			if tt.binding != playbook.Forged { // what is not known cannot be forged
				binding, _, err = silent.BindNamed(tt.namespace, tt.pod, tt.uid, tt.at)
				require.NoError(t, err)
				require.Equal(t, tt.binding, binding)
			}
		})
	}
	binding, _, err := b.BindNamed("", "", uid, now)
	require.NoError(t, err)
	require.Equal(t, playbook.Bound, binding, "a UID alone is enough")
}

// A pod that no news has come of yet is asked for.
func TestBindAsks(t *testing.T) {
	cluster := kubetest.Shared(t)
	uid := cluster.CreatePod(t, "ask", "fresh", "node.with-dots")
	b, _ := binder(t, cluster) // not running: the news never comes

	binding, pod, err := b.Bind("node.with-dots", uid)
	require.NoError(t, err)
	require.Equal(t, playbook.Bound, binding)
	require.Equal(t, "fresh", pod.Name)
	binding, _, _ = b.Bind("node-2,metadata.name=fresh", uid)
	require.Equal(t, playbook.Unbound, binding, "a node's name is a value, not a selector")

	for i := range 100 {
		binding, _, err := b.Bind("node-1", fmt.Sprint("made-up-", i))
		require.Equal(t, playbook.Unbound, binding)
		if err != nil {
			require.ErrorIs(t, err, errTooManyAsked)
		}
	}
	stats := b.Stats()
	require.Greater(t, stats.AskSkipped, uint64(20))
	require.GreaterOrEqual(t, stats.Asked, uint64(askBurst))
	require.Equal(t, uint64(102), stats.Asked+stats.AskSkipped)
}

func TestBinderWithoutAPIServer(t *testing.T) {
	cluster := kubetest.Start(t)
	b, _ := binder(t, cluster)
	cluster.Stop()
	before := goleak.IgnoreCurrent()

	begin := time.Now()
	binding, _, err := b.Bind("node-1", "some-uid")
	require.ErrorContains(t, err, "ask for a pod")
	require.Equal(t, playbook.Unbound, binding)
	require.Less(t, time.Since(begin), askTimeout+time.Second)
	require.Equal(t, uint64(1), b.Stats().AskErrors)
	_, _, err = b.Bind("node-1", "another-uid")
	require.ErrorIs(t, err, errInVain)
	require.Equal(t, uint64(1), b.Stats().AskSkipped, "a batch does not wait for each")

	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { b.Run(ctx) })
	require.Eventually(t, func() bool { return b.lastError.Load() != nil }, 10*time.Second, time.Millisecond)
	wait, stop := context.WithTimeout(ctx, time.Millisecond)
	defer stop()
	err = b.WaitSynced(wait)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "connection refused")
	cancel()
	done.Wait()
	goleak.VerifyNone(t, before)
}

// What a watch delivers after an interruption: a deletion that was missed comes
// as a tombstone, or as an update to the pod that has the name now.
func TestMissedDeletions(t *testing.T) {
	b, err := newBinder(nil, slog.New(slog.DiscardHandler), newDirectory(time.Hour, 10, time.Now))
	require.NoError(t, err)
	pod := func(uid string) *followed {
		stripped, err := strip(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: types.UID(uid)},
			Spec:       corev1.PodSpec{NodeName: "node-1"},
		})
		require.NoError(t, err)
		return stripped.(*followed)
	}
	b.set(pod("first"))
	b.updated(pod("first"), pod("second"))
	b.deleted(cache.DeletedFinalStateUnknown{Key: "shop/cart", Obj: pod("second")})
	for _, uid := range []string{"first", "second"} {
		binding, _, _ := b.Bind("node-1", uid)
		require.Equal(t, playbook.Bound, binding, uid)
	}
	require.Equal(t, 2, b.Stats().Remembered)
}

func TestStripKeepsOnlyWhatIsRead(t *testing.T) {
	full := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "cart", UID: "u", ResourceVersion: "7", Labels: map[string]string{"app": "cart"},
			Annotations: map[string]string{"large": "text"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "secret"}}}}},
	}
	stripped, err := strip(full)
	require.NoError(t, err)
	f := stripped.(*followed)
	require.Equal(t, project(full), f.pod)
	require.Equal(t, metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: "u", ResourceVersion: "7"}, f.ObjectMeta)
	again, err := strip(f)
	require.NoError(t, err)
	require.Same(t, f, again)
}
