package responder_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/deploy/e2e/kubetest"
	"riposte/responder"
	"riposte/responder/action"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

// falcoAlert is an alert of one of Falco's own rules about a pod's container.
func falcoAlert(seq uint64, rule, podUID string, tags ...string) *alert.Alert {
	a := critical(seq, "c-"+podUID)
	a.Rule, a.Priority, a.Tags = rule, alert.Notice, tags
	a.OutputFields = map[string]any{"proc.cmdline": "bash -i", "proc.name": "bash", "fd.name": "10.0.3.7:48212->203.0.113.9:443", "proc.tty": 0}
	a.Riposte.Pod = &alert.Pod{Namespace: "shop", Name: "web", UID: podUID}
	return a
}

// kindsOf are a playbook's actions as "type kind state", sorted.
func kindsOf(t *testing.T, c *client.Client, playbook string) (all []string) {
	t.Helper()
	p, err := c.Actions(t.Context(), client.ActionFilter{Playbook: playbook})
	require.NoError(t, err)
	for _, a := range p.Items {
		var target action.Target
		require.NoError(t, json.Unmarshal(a.Target, &target))
		all = append(all, a.Type+" "+target.Kind+" "+a.State)
	}
	slices.Sort(all)
	return all
}

// Alerts of Falco's rules come over the real bus, the real API server confirms their
// pod, and the playbooks that come with Riposte leave in the real database what
// their pages say.
func TestTheLibraryOnTheRealLine(t *testing.T) {
	cluster := kubetest.Start(t)
	cluster.CreateNode(t, node)
	var permissions []string
	for _, a := range responder.Actions() {
		permissions = append(permissions, a.Spec().Permissions...)
	}
	cluster.Grant(t, "riposte", append(permissions, "list pods", "watch pods", "get nodes", "get namespaces", "get replicasets.apps")...)
	web := cluster.CreatePod(t, "shop", "web", node, kubetest.Owner("web-5d4f"))

	r := newRig(t)
	r.options.Kubeconfig = cluster.As(t, "riposte")
	_, c := r.run(t)
	r.obey(t)

	r.send(t, falcoAlert(1, "Redirect STDOUT/STDIN to Network Connection in Container", web, "container", "network", "mitre_execution", "T1059"))
	var got []string
	require.Eventually(t, func() bool { got = kindsOf(t, c, "reverse_shell"); return len(got) > 0 }, patience, 20*time.Millisecond)
	require.Equal(t, []string{
		"collect_logs pod observed", "cut_network container observed", "isolate_pod pod observed", "snapshot_object pod observed",
	}, got, "in mode observe nothing is done; the controller is none that the API server has")
	p, err := c.Actions(t.Context(), client.ActionFilter{Type: "isolate_pod"})
	require.NoError(t, err)
	require.Contains(t, string(p.Items[0].Target), web)
	require.Contains(t, p.Items[0].Reason, `command "bash -i"`)

	// The same workload goes on, mildly: with the twentieth alert its incident is acknowledged.
	_, err = c.SetMode(t.Context(), "noise", api.Mode{Mode: "enforce", Reason: "a test"})
	require.NoError(t, err)
	for seq := uint64(2); seq <= 21; seq++ {
		r.send(t, falcoAlert(seq, "Terminal shell in container", web, "container", "shell"))
	}
	require.Eventually(t, func() bool {
		got = kindsOf(t, c, "noise")
		return slices.Equal(got, []string{"acknowledge_incident pod succeeded"})
	}, patience, 20*time.Millisecond, "%v", got)
	incidents, err := c.Incidents(t.Context(), client.IncidentFilter{})
	require.NoError(t, err)
	require.Len(t, incidents.Items, 1)
	require.Equal(t, "open", incidents.Items[0].State)
	line, err := c.IncidentTimeline(t.Context(), incidents.Items[0].ID)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(line.Events, func(e api.IncidentEvent) bool {
		return e.Kind == "state" && e.State == "open" && strings.HasPrefix(e.Detail, "acknowledged by action ")
	}), "%+v", line.Events)
	require.Empty(t, refusals(t, c), "no playbook of ours proposes what is sure to be refused")
}

// refusals are what the guard or ingest refused, with the reason.
func refusals(t *testing.T, c *client.Client) (all []string) {
	t.Helper()
	p, err := c.Actions(t.Context(), client.ActionFilter{State: "refused"})
	require.NoError(t, err)
	for _, a := range p.Items {
		all = append(all, a.Playbook+" "+a.Type+": "+a.RefusedBy+" "+a.Note)
	}
	return all
}
