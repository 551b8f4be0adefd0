package ingest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

// places is what the API server knows in Go.
type places struct{}

func (places) Node(_ context.Context, name string) string {
	if name == "n1" {
		return "node-uid"
	}
	return ""
}

func (places) Namespace(context.Context, string) string { return "namespace-uid" }

func (places) Workload(_ context.Context, pod *playbook.Pod) *playbook.Workload {
	if pod.UID != podUID {
		return nil
	}
	return &playbook.Workload{Resource: "apps/v1/deployments", Namespace: "shop", Name: "web", UID: "workload-uid"}
}

// What a playbook can act on beside the alert's own container and pod.
func TestTargetsAround(t *testing.T) {
	t.Parallel()
	propose1 := func(kind string, target playbook.Target) playbook.Proposal {
		target.Kind = kind
		return playbook.Proposal{Type: "do_" + kind, Reason: "r", Target: target}
	}
	workload := playbook.Target{Resource: "apps/v1/deployments", Namespace: "shop", Name: "web", UID: "workload-uid"}
	edited := func(target playbook.Target, edit func(*playbook.Target)) playbook.Target {
		edit(&target)
		return target
	}
	for name, c := range map[string]struct {
		proposal playbook.Proposal
		alert    []func(*alert.Alert)
		note     string // of the refusal; empty if it is planned
	}{
		"own node":              {proposal: propose1("node", playbook.Target{Name: "n1", UID: "node-uid"})},
		"own node, made anew":   {proposal: propose1("node", playbook.Target{Name: "n1", UID: "older-uid"}), note: "not the alert's own node"},
		"another node":          {proposal: propose1("node", playbook.Target{Name: "n2", UID: "node-uid"}), note: "not the alert's own node"},
		"unknown node":          {proposal: propose1("node", playbook.Target{Name: "n3"}), alert: []func(*alert.Alert){ofNode("n3")}, note: "not the alert's own node"},
		"own process":           {proposal: propose1("process", playbook.Target{PID: 12, StartNS: 34})},
		"another life of a pid": {proposal: propose1("process", playbook.Target{PID: 12, StartNS: 35}), note: "not the alert's own process"},
		"process that no node vouches for": {
			proposal: propose1("process", playbook.Target{PID: 12, StartNS: 34}), alert: []func(*alert.Alert){func(a *alert.Alert) { a.Riposte.Intake = "sidekick" }},
			note: "comes from no node's agent",
		},
		"own workload":       {proposal: propose1("workload", workload), alert: []func(*alert.Alert){inPod}},
		"workload of no pod": {proposal: propose1("workload", workload), note: "not the workload of the alert's own pod"},
		"another workload": {
			proposal: propose1("workload", edited(workload, func(w *playbook.Target) { w.Name = "db" })), alert: []func(*alert.Alert){inPod},
			note: "not the workload of the alert's own pod",
		},
		"workload of another kind": {
			proposal: propose1("workload", edited(workload, func(w *playbook.Target) { w.Resource = "apps/v1/daemonsets" })), alert: []func(*alert.Alert){inPod},
			note: "not the workload of the alert's own pod",
		},
		"object beside the pod": {
			proposal: propose1("object", playbook.Target{Resource: "v1/services", Namespace: "shop", Name: "web", UID: "u"}), alert: []func(*alert.Alert){inPod},
		},
		"object elsewhere": {
			proposal: propose1("object", playbook.Target{Resource: "v1/services", Namespace: "bank", Name: "web", UID: "u"}), alert: []func(*alert.Alert){inPod},
			note: "not in the namespace of the alert's own pod, shop",
		},
		"own namespace": {
			proposal: propose1("object", playbook.Target{Resource: "v1/namespaces", Namespace: "shop", Name: "shop", UID: "namespace-uid"}), alert: []func(*alert.Alert){inPod},
		},
		"another namespace": {
			proposal: propose1("object", playbook.Target{Resource: "v1/namespaces", Namespace: "shop", Name: "bank", UID: "namespace-uid"}), alert: []func(*alert.Alert){inPod},
			note: "not the namespace of the alert's own pod",
		},
		"object without a pod": {proposal: propose1("object", playbook.Target{Resource: "v1/services", Namespace: "shop", Name: "web", UID: "u"}), note: "the alert is none"},
		"object, pod forged": {
			proposal: propose1("object", playbook.Target{Resource: "v1/services", Namespace: "shop", Name: "web", UID: "u"}), alert: []func(*alert.Alert){inPod, ofNode("n2")},
			note: "the alert is forged",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *ingest.Options) {
				o.Playbooks, o.Places = propose(c.proposal), places{}
				o.Actions = actions{"do_node": "node", "do_process": "process", "do_workload": "workload", "do_object": "object"}
			})
			b.handle(deliver(t, anAlert(1, c.alert...)))
			if c.note == "" {
				require.Equal(t, []string{"planned"}, b.texts("SELECT state FROM actions"))
				return
			}
			require.Equal(t, []string{"refused/target-not-the-alerts"}, b.texts("SELECT state || '/' || refused_by FROM actions"))
			require.Contains(t, b.texts("SELECT note FROM actions")[0], c.note)
		})
	}
}

// A ttl is kept with what can be undone, and a process is told by its start.
func TestTTLAndProcess(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *ingest.Options) {
		o.Playbooks = propose(playbook.Proposal{Type: "do_process", Reason: "r", TTL: "90s", Target: playbook.Target{Kind: "process", PID: 12, StartNS: 34}})
		o.Actions = actions{"do_process": "process"}
	})
	b.handle(deliver(t, anAlert(1)))
	require.Equal(t, []string{"planned 90000000000 12 34 -"}, b.texts(`SELECT concat_ws(' ', state, ttl_ns, target->>'pid', target->>'process_ns', coalesce(target->>'start_ns', '-')) FROM actions`))
}

// Playbooks are told what the API server knows, of the own cluster alone.
func TestPlacesInTheInput(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		alert []func(*alert.Alert)
		want  []string
	}{
		"bound":           {[]func(*alert.Alert){inPod}, []string{"node-uid workload-uid"}},
		"no pod":          {nil, []string{"node-uid "}},
		"another cluster": {[]func(*alert.Alert){inPod, func(a *alert.Alert) { a.Riposte.Cluster = "test" }}, []string{" "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *ingest.Options) { o.Places = places{} })
			b.handle(deliver(t, anAlert(1, c.alert...)))
			require.Equal(t, c.want, b.texts("SELECT coalesce(input::jsonb->'node'->>'uid', '') || ' ' || coalesce(input::jsonb->'workload'->>'uid', '') FROM decisions"))
		})
	}
}
