package accept_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// TestAcceptance: a stranger installs Riposte as the README says, his pods are attacked,
// and he takes it off again.
func TestAcceptance(t *testing.T) {
	c := inside(t)
	require.Empty(t, c.traces(t), "another installation is here, or what it has left: begin with a new cluster")
	before := pinned(t)
	own, persons := c.install(t)
	step := func(name string, do func(t *testing.T)) {
		if !t.Run(name, do) {
			t.FailNow() // each step begins where the one before it ends
		}
	}
	step("ready", func(t *testing.T) { healthy(t, own) })
	deleted := map[string]api.Action{}
	step("attacks", func(t *testing.T) { c.attacked(t, own, deleted) })
	step("cordon", func(t *testing.T) { c.cordon(t, own, persons) })
	step("isolation", func(t *testing.T) { c.isolation(t, own) })
	step("held", func(t *testing.T) { c.held(t, own, persons) })
	step("protected", func(t *testing.T) { c.protected(t, own) })
	step("first minute", func(t *testing.T) { c.firstMinute(t, own) })
	step("record", func(t *testing.T) { c.record(t, own, deleted) })
	step("uninstall", func(t *testing.T) { c.uninstall(t, before) })
}

// healthy asks what `riposte status` asks.
func healthy(t *testing.T, own *client.Client) {
	t.Helper()
	var last api.Status
	eventually(t, "every part works and the agent speaks", func() bool {
		status, err := own.Status(t.Context())
		if err != nil {
			return false
		}
		last = status
		for _, p := range status.Parts {
			if !p.Works {
				return false
			}
		}
		return len(status.Agents) == 1 && !status.Agents[0].Silent
	})
	require.Equal(t, "trial", last.Cluster)
	require.NotEqual(t, "recording", last.Agents[0].Source)
}

// attacked does every attack to a pod of its own. What is critical ends with that pod
// deleted, once, and another in its place that nobody touches; all others stay.
func (c *cluster) attacked(t *testing.T, own *client.Client, deleted map[string]api.Action) {
	const namespace = "shop"
	c.namespace(t, namespace)
	c.deploy(t, namespace, "programs", nil, "httpd", "-f", "-p", "8000", "-h", "/bin")
	c.deploy(t, namespace, "listener", nil, "sh", "-c", "while true; do echo id | nc -l -p 4444; done")
	server, listener := c.pod(t, namespace, "programs"), c.pod(t, namespace, "listener")
	listen(t, pool)

	all := attacks(c.address(server, 8000), c.address(listener, 4444))
	victims := map[string]corev1.Pod{}
	for _, a := range all {
		c.deploy(t, namespace, a.name, &corev1.SecurityContext{Privileged: &a.privileged}, "probe", "sleep")
	}
	for _, a := range all {
		victims[a.name] = c.pod(t, namespace, a.name)
	}
	gone := c.follow(t, namespace)
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			victim := victims[a.name]
			command := []string{"sh", "-c", a.command}
			if a.typed != "" {
				command = []string{a.command}
			}
			c.attack(t, victim, a.typed, command...)
			raised := alertOf(t, own, a.rule, victim)
			names(t, raised, victim, a.priority)
			noted(t, own, raised)
			if !a.critical() {
				return
			}
			deletion := done(t, own, "delete_pod", victim, verified)
			gone.until(t, victim.UID)
			require.NotEqual(t, victim.UID, c.pod(t, namespace, a.name).UID)
			told(t, own, deletion, victim, "action.verified")
			deleted[a.name] = deletion
		})
	}
	// After all of it: each of these once and nothing else.
	gone.read(t)
	for _, a := range all {
		want := 0
		if a.critical() {
			want = 1
		}
		require.Equal(t, want, gone.seen[victims[a.name].UID], "%s: deletions of the pod", a.name)
		require.Equal(t, want, effects(t, own, "delete_pod", victims[a.name]), "%s: actions that deleted it", a.name)
		require.Equal(t, want == 0, c.pod(t, namespace, a.name).UID == victims[a.name].UID, a.name)
	}
	require.Len(t, gone.seen, len(deleted), "no other pod of the namespace was deleted, replacements least of all")
}

// listen gives the node an address and takes connections there.
func listen(t *testing.T, address string) {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	require.NoError(t, err)
	command(t, "ip", "address", "replace", host+"/32", "dev", "lo")
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
}
