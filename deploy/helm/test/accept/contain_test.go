package accept_test

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// received notes when something was written to it.
type received struct {
	mu sync.Mutex
	at []time.Time
}

func (r *received) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range bytes.Count(p, []byte("\n")) {
		r.at = append(r.at, time.Now())
	}
	return len(p), nil
}

// last is when something came last, and how much there was until then.
func (r *received) last() (at time.Time, lines int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.at) == 0 {
		return time.Time{}, 0
	}
	return r.at[len(r.at)-1], len(r.at)
}

// hold keeps a connection open from one pod to another, over which lines go there and back.
func (c *cluster) hold(t *testing.T, from, to corev1.Pod) *received {
	t.Helper()
	var lines received
	// TCP itself goes on after a pause; the probe is told to wait for it.
	c.background(t, from, &lines, "probe", "hold", c.address(to, 8081), "10m")
	eventually(t, "lines over an open connection", func() bool { _, n := lines.last(); return n > 3 })
	return &lines
}

// isolation: a policy of 20 s stops a connection that is open, and new ones both ways.
func (c *cluster) isolation(t *testing.T, own *client.Client) {
	const name = "isolated"
	c.namespace(t, name)
	for _, who := range []string{"victim", "server", "friend"} {
		c.deploy(t, name, who, nil, "probe", "serve", ":8080")
	}
	victim, server, friend := c.pod(t, name, "victim"), c.pod(t, name, "server"), c.pod(t, name, "friend")
	// When it comes back, its controller has one too many: let it be the other that goes.
	_, err := c.CoreV1().Pods(name).Patch(t.Context(), victim.Name, types.MergePatchType,
		[]byte(`{"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "100"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	reaches := func(from, to corev1.Pod) bool {
		return c.in(t.Context(), from, "", &bytes.Buffer{}, "probe", "tcp", c.address(to, 8080)) == nil
	}
	require.True(t, reaches(victim, server) && reaches(friend, victim), "without a policy all flows")

	held := c.hold(t, victim, server)

	c.attack(t, victim, "", "sh", "-c", "echo x >> /etc/crontab")
	a := alertOf(t, own, "Write below etc in a container", victim)
	names(t, a, victim, "Warning")
	isolated := done(t, own, "isolate_pod", victim, verified)
	require.NotNil(t, isolated.LiftAt)
	// While it holds nothing new gets through either; the network needs a moment to know.
	eventually(t, "no new connection", func() bool { return !reaches(victim, server) && !reaches(friend, victim) })
	require.True(t, time.Now().Before(*isolated.LiftAt), "the answer came after the isolation's end: this machine is too slow for 20 s")
	stopped, before := held.last()
	require.Less(t, stopped, *isolated.LiftAt)

	lifted := done(t, own, "isolate_pod", victim, func(a api.Action) bool { return a.LiftedAt != nil })
	require.Empty(t, lifted.LiftBy, "its time was over: nobody had to ask")
	eventually(t, "the same connection goes on", func() bool { _, lines := held.last(); return lines > before })
	held.mu.Lock()
	first := held.at[before]
	held.mu.Unlock()
	require.False(t, first.Before(*lifted.LiftAt), "a line came at %s, isolated until %s", first, lifted.LiftAt)
	eventually(t, "new connections too", func() bool { return reaches(victim, server) && reaches(friend, victim) })
	// It stood and flowed in the same pod.
	require.False(t, c.gone(t, victim))
	told(t, own, lifted, victim, "action.lifted")
}

// held: the agent itself freezes a container and cuts off another, until a person lifts it.
func (c *cluster) held(t *testing.T, own *client.Client, persons map[string]*client.Client) {
	const name = "held"
	c.namespace(t, name)
	for _, who := range []string{"freeze", "cut", "server"} {
		// Packet sockets a cut stops at the veth's other end, which the agent looks for in the
		// machine's network. Here the node has one of its own: no pod may open any.
		c.deploy(t, name, who, &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"NET_RAW"}}}, "probe", "serve", ":8080")
	}
	cold, mute, server := c.pod(t, name, "freeze"), c.pod(t, name, "cut"), c.pod(t, name, "server")
	lines := c.hold(t, mute, server)
	isFrozen := func() bool {
		return slices.ContainsFunc(frozen(t), func(group string) bool { return filepath.Base(group) == containerOf(cold) })
	}
	for _, victim := range []corev1.Pod{cold, mute} {
		// What is frozen does not end: nobody waits for it here.
		c.background(t, victim, io.Discard, "sh", "-c", "echo x >> /etc/crontab")
		names(t, alertOf(t, own, "Write below etc in a container", victim), victim, "Warning")
	}
	froze, muted := done(t, own, "freeze_container", cold, verified), done(t, own, "cut_network", mute, verified)
	require.True(t, isFrozen())
	// Each of these has its time, in which the open connection is silent.
	require.Error(t, c.in(t.Context(), mute, "", io.Discard, "probe", "tcp", c.address(server, 8080)))
	_, before := lines.last()
	require.Error(t, c.in(t.Context(), server, "", io.Discard, "probe", "tcp", c.address(mute, 8080)))
	_, after := lines.last()
	require.Equal(t, before, after)

	for _, a := range []api.Action{froze, muted} {
		_, err := persons[people[1]].Lift(t.Context(), a.ID, "looked at it")
		require.NoError(t, err)
	}
	lifted := func(a api.Action) bool { return a.LiftedAt != nil }
	require.Equal(t, "user:"+people[1], done(t, own, "freeze_container", cold, lifted).LiftBy)
	done(t, own, "cut_network", mute, lifted)
	require.False(t, isFrozen())
	eventually(t, "the connection goes on", func() bool { _, n := lines.last(); return n > after })
}

// cordon: of an escape two people are asked whether to keep new pods off the node.
func (c *cluster) cordon(t *testing.T, own *client.Client, persons map[string]*client.Client) {
	var asked api.Action
	eventually(t, "two people are asked to cordon the node", func() bool {
		page, err := own.Actions(t.Context(), client.ActionFilter{Type: "cordon_node", State: "waiting"})
		if err != nil || len(page.Items) == 0 {
			return false
		}
		asked = page.Items[0]
		return true
	})
	question, err := own.Approval(t.Context(), asked.ID)
	require.NoError(t, err)
	require.Contains(t, question.Rules, "two-person")
	require.Equal(t, 2, question.Needed)
	for _, name := range people {
		require.False(t, c.cordoned(t, asked.Node), "one alone decides nothing")
		_, err := persons[name].Answer(t.Context(), asked.ID, true, "an escape was tried")
		require.NoError(t, err)
	}
	byID := func(ready func(api.Action) bool) (a api.Action) {
		eventually(t, "cordon_node", func() bool {
			now, err := own.Action(t.Context(), asked.ID)
			a = now
			return err == nil && ready(now)
		})
		return a
	}
	byID(verified)
	require.True(t, c.cordoned(t, asked.Node))

	c.namespace(t, "cordoned")
	c.deploy(t, "cordoned", "late", nil, "probe", "sleep")
	eventually(t, "a new pod finds no node", func() bool {
		pods, err := c.CoreV1().Pods("cordoned").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(pods.Items) != 1 {
			return false
		}
		for _, condition := range pods.Items[0].Status.Conditions {
			if condition.Type == corev1.PodScheduled {
				return condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable
			}
		}
		return false
	})
	_, err = persons[people[0]].Lift(t.Context(), asked.ID, "looked at the node")
	require.NoError(t, err)
	lifted := byID(func(a api.Action) bool { return a.LiftedAt != nil })
	require.Equal(t, "user:"+people[0], lifted.LiftBy)
	require.False(t, c.cordoned(t, asked.Node))
	c.pod(t, "cordoned", "late")

	story, err := own.Story(t.Context(), asked.ID)
	require.NoError(t, err)
	require.Len(t, story.Actions, 1)
	require.Len(t, story.Actions[0].Approval.Votes, 2)
}

func (c *cluster) cordoned(t *testing.T, node string) bool {
	t.Helper()
	n, err := c.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
	require.NoError(t, err)
	return n.Spec.Unschedulable
}

// protected: a pod that must not be touched is attacked, and stays.
func (c *cluster) protected(t *testing.T, own *client.Client) {
	const namespace = "kube-system"
	c.deploy(t, namespace, "vital", nil, "probe", "sleep")
	t.Cleanup(func() {
		_ = c.AppsV1().Deployments(namespace).Delete(context.Background(), "vital", metav1.DeleteOptions{})
	})
	pod := c.pod(t, namespace, "vital")
	c.attack(t, pod, "", "sh", "-c", ": >> /sys/fs/cgroup/release_agent")
	a := alertOf(t, own, "Write to release_agent in a container", pod)
	names(t, a, pod, "Critical")
	refused := done(t, own, "delete_pod", pod, func(a api.Action) bool { return a.State == "refused" })
	require.Equal(t, "protected-namespace", refused.RefusedBy)
	require.Nil(t, refused.ExecutedAt)
	require.False(t, c.gone(t, pod))
	require.Equal(t, pod.UID, c.pod(t, namespace, "vital").UID)
	told(t, own, refused, pod, "action.refused")
}
