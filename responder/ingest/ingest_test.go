package ingest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

// One alert leaves one row of each kind, and its message is acknowledged.
func TestOneAlert(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := anAlert(1)
	d := deliver(t, a)
	b.handle(d)
	require.Equal(t, 1, d.acks)
	require.Empty(t, d.naks)

	require.Equal(t, 1, b.count("inbox WHERE alert_id = $1::text::uuid AND seq = 1", a.UUID))
	require.Equal(t, 1, b.count("incidents WHERE state = 'open' AND alerts = 1 AND key = $1", "node/n1/container/"+containerID))
	require.Equal(t, 1, b.count("alerts WHERE id = $1::text::uuid AND binding = 'none' AND container_id = $2 AND body = $3 AND received_ns > alert_ns AND alert_ns > kernel_ns",
		a.UUID, containerID, string(d.data)))
	require.Equal(t, 1, b.count("decisions WHERE state = 'decided' AND playbook = 'pb' AND decided_ns >= $1", d.received.UnixNano()))
	require.Equal(t, 1, b.count(`actions WHERE state = 'planned' AND type = 'kill_container' AND node = 'n1' AND cluster = 'prod' AND target->>'cgroup_id' = '77'
		AND expires_ns - planned_ns = $1 AND refused_by = ''`, (5*time.Minute).Nanoseconds()))
	require.Equal(t, 1, b.count("river.river_job WHERE kind = 'action' AND args->>'action' = (SELECT id::text FROM actions)"))
	require.Equal(t, []string{"incident.opened", "alert", "decision", "action.intent"}, b.texts("SELECT kind FROM audit ORDER BY seq"))
	report, err := audit.Verify(t.Context(), b.store.Pool(), audit.Evidence{})
	require.NoError(t, err)
	require.True(t, report.OK)
}

// The process died between commit and acknowledgement, or the broker repeats itself.
func TestTheSameMessageTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := anAlert(1)
	first, again, inOne := deliver(t, a), deliver(t, a), deliver(t, a)
	b.handle(first)
	b.handle(again, inOne, deliver(t, anAlert(2, distinct)))
	for _, d := range []*delivery{first, again, inOne} {
		require.Equal(t, 1, d.acks)
	}
	require.Equal(t, 2, b.count("alerts"))
	require.Equal(t, 2, b.count("inbox"))
	require.Equal(t, 2, b.count("decisions"))
	require.Equal(t, 1, b.count("actions"), "one effect on one container")
	require.Equal(t, 1, b.count("river.river_job"))
	require.EqualValues(t, 2, b.Counts()["duplicates"])
}

// Two responders have the same message at the same time: both acknowledge, one stores.
func TestTwoResponders(t *testing.T) {
	var rivals []*ingest.Ingest
	meet := make(chan struct{})
	b := setup(t, func(o *ingest.Options) {
		o.Playbooks = answers(func(in playbook.Input) []playbook.Decision {
			select { // both have looked into the inbox when either writes
			case meet <- struct{}{}:
			case <-meet:
			case <-time.After(10 * time.Second):
				panic("the other responder did not come")
			}
			return propose(killOwn)(in)
		})
		rivals = append(rivals, ingest.New(*o), ingest.New(*o))
	})
	a := anAlert(1)
	messages := []*delivery{deliver(t, a), deliver(t, a)}
	done := make(chan struct{})
	for i, in := range rivals {
		go func() {
			ingest.Batch[*delivery](in)(t.Context(), messages[i:i+1])
			done <- struct{}{}
		}()
	}
	<-done
	<-done
	require.Equal(t, 1, messages[0].acks)
	require.Equal(t, 1, messages[1].acks)
	require.Equal(t, 1, b.count("alerts"))
	require.Equal(t, 1, b.count("actions"))
	require.EqualValues(t, 1, rivals[0].Counts()["duplicates"]+rivals[1].Counts()["duplicates"])
}

// Whatever a playbook asks for, only the alert's own container or pod is touched.
func TestTargets(t *testing.T) {
	t.Parallel()
	container := func(edit func(*playbook.Proposal)) playbook.Proposal { p := killOwn; edit(&p); return p }
	pod := func(edit func(*playbook.Proposal)) playbook.Proposal { p := deletePod; edit(&p); return p }
	for name, c := range map[string]struct {
		proposal  playbook.Proposal
		alert     []func(*alert.Alert)
		state     string
		refusedBy string
		noteHas   string
	}{
		"own container":           {proposal: killOwn, state: "planned"},
		"another container":       {proposal: container(func(p *playbook.Proposal) { p.Target.ContainerID = "f00" }), state: "refused", refusedBy: "target-not-the-alerts", noteHas: "own container"},
		"another life of it":      {proposal: container(func(p *playbook.Proposal) { p.Target.StartNS++ }), state: "refused", refusedBy: "target-not-the-alerts"},
		"without its identity":    {proposal: container(func(p *playbook.Proposal) { p.Target.CgroupID = 0 }), state: "refused", refusedBy: "target-not-the-alerts"},
		"no container":            {proposal: killOwn, alert: []func(*alert.Alert){func(a *alert.Alert) { a.Riposte.Container = nil }}, state: "refused", refusedBy: "target-not-the-alerts", noteHas: "no container"},
		"bound pod":               {proposal: deletePod, alert: []func(*alert.Alert){inPod}, state: "planned"},
		"another pod":             {proposal: pod(func(p *playbook.Proposal) { p.Target.UID = bootID }), alert: []func(*alert.Alert){inPod}, state: "refused", refusedBy: "target-not-the-alerts"},
		"same uid, another name":  {proposal: pod(func(p *playbook.Proposal) { p.Target.Name = "db-0" }), alert: []func(*alert.Alert){inPod}, state: "refused", refusedBy: "target-not-the-alerts"},
		"no pod":                  {proposal: deletePod, state: "refused", refusedBy: "target-not-the-alerts", noteHas: "none"},
		"pod on another node":     {proposal: deletePod, alert: []func(*alert.Alert){inPod, ofNode("n2")}, state: "refused", refusedBy: "target-not-the-alerts", noteHas: "forged"},
		"pod of another cluster":  {proposal: deletePod, alert: []func(*alert.Alert){inPod, func(a *alert.Alert) { a.Riposte.Cluster = "test" }}, state: "refused", refusedBy: "target-not-the-alerts", noteHas: "unbound"},
		"a kind that is none":     {proposal: pod(func(p *playbook.Proposal) { p.Target.Kind = "cluster" }), state: "refused", refusedBy: "target-not-the-alerts", noteHas: `"cluster"`},
		"an action that is none":  {proposal: container(func(p *playbook.Proposal) { p.Type = "rm_rf" }), state: "refused", refusedBy: "invalid-action", noteHas: "rm_rf"},
		"an end to what has none": {proposal: container(func(p *playbook.Proposal) { p.TTL = "10m" }), state: "refused", refusedBy: "ttl-without-undo"},
		"text that is hard to keep": {proposal: container(func(p *playbook.Proposal) {
			p.Target.ContainerID = "\x00\xff"
			p.Reason = "\x00"
			p.Params = json.RawMessage(`{"a":"\u0000"}`)
		}), state: "refused", refusedBy: "target-not-the-alerts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *ingest.Options) { o.Playbooks = propose(c.proposal) })
			d := deliver(t, anAlert(1, c.alert...))
			b.handle(d)
			require.Equal(t, 1, d.acks)
			require.Equal(t, []string{c.state + "/" + c.refusedBy}, b.texts("SELECT state || '/' || refused_by FROM actions"))
			require.Contains(t, b.texts("SELECT note FROM actions")[0], c.noteHas)
			if c.state == "refused" {
				require.Zero(t, b.count("river.river_job"))
				require.Equal(t, []string{"action.refused"}, b.texts("SELECT kind FROM audit WHERE kind LIKE 'action%'"))
			}
			// What is asked for never leads to another node or cluster than the alert's.
			require.Equal(t, 1, b.count("actions a JOIN alerts l ON a.alert_id = l.id AND a.node = l.node AND a.cluster = l.cluster AND a.target->>'node' = l.node"))
		})
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[guard.Outcome][2]string{
		guard.Allow: {"planned", "action.intent"}, guard.Watch: {"observed", "action.observed"}, guard.Ask: {"waiting", "action.intent"},
		guard.Refuse: {"refused", "action.refused"}, "": {"refused", "action.refused"}, "maybe": {"refused", "action.refused"},
	} {
		t.Run(string(outcome), func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *ingest.Options) { o.Guard = always(outcome) })
			b.handle(deliver(t, anAlert(1, func(a *alert.Alert) { a.Riposte.Recorded = true })))
			require.Equal(t, want[:1], b.texts("SELECT state FROM actions"))
			require.Equal(t, want[1:], b.texts("SELECT kind FROM audit WHERE kind LIKE 'action%'"))
			jobs := 0
			if outcome == guard.Allow {
				jobs = 1
			}
			require.Equal(t, jobs, b.count("river.river_job"))
			require.Equal(t, 1, b.count("alerts WHERE recorded"))
		})
	}
}

// A second decision about the same container joins the first; when the first
// waits for a person and the second needs none, the second takes its place.
func TestOneEffect(t *testing.T) {
	t.Parallel()
	outcome := guard.Ask
	b := setup(t, func(o *ingest.Options) {
		o.Guard = verdicts(func(guard.Question) guard.Verdict { return guard.Verdict{Outcome: outcome} })
	})
	b.handle(deliver(t, anAlert(1)), deliver(t, anAlert(2, distinct)))
	require.Equal(t, []string{"waiting"}, b.texts("SELECT state FROM actions"))
	first := b.texts("SELECT id::text FROM actions")[0]
	require.Equal(t, []string{"action.intent " + first, "action.joined " + first}, b.texts("SELECT kind || ' ' || action_id FROM audit WHERE kind LIKE 'action%' ORDER BY seq"))

	outcome = guard.Allow
	b.handle(deliver(t, anAlert(3, distinct)))
	require.Equal(t, []string{"cancelled", "planned"}, b.texts("SELECT state FROM actions ORDER BY planned_ns"))
	require.Equal(t, 1, b.count("river.river_job"))
	require.Equal(t, 1, b.count("audit WHERE kind = 'action.result' AND result = 'cancelled' AND action_id = $1::text::uuid", first))

	b.handle(deliver(t, anAlert(4, distinct)))
	require.Equal(t, 2, b.count("actions"))
	require.Equal(t, 1, b.count("river.river_job"))
}

// What a playbook knows: the open incident, and what was done to its target.
func TestInput(t *testing.T) {
	t.Parallel()
	var inputs [4]playbook.Input // the alerts of a batch are decided about at once
	b := setup(t, func(o *ingest.Options) {
		o.Playbooks = answers(func(in playbook.Input) []playbook.Decision {
			inputs[in.Alert.Riposte.Seq-1] = in
			return propose(killOwn)(in)
		})
	})
	b.handle(deliver(t, anAlert(1, inPod)), deliver(t, anAlert(2, inPod)))
	b.handle(deliver(t, anAlert(3, inPod)), deliver(t, anAlert(4, inPod, ofNode("n2"))))
	id := b.texts("SELECT id::text FROM incidents WHERE key = 'owner/shop/ReplicaSet/web'")[0]
	for i, in := range inputs[:3] {
		require.Equal(t, playbook.Bound, in.Binding)
		require.Equal(t, "web-1", in.Pod.Name)
		require.Equal(t, playbook.Incident{ID: id, Alerts: int64(i + 1), Priority: "Critical", FirstAt: in.Incident.FirstAt, History: in.Incident.History}, *in.Incident)
	}
	require.Empty(t, inputs[0].History)
	require.Len(t, inputs[2].History, 1)
	require.Equal(t, "kill_container planned pb", strings.Join([]string{inputs[2].History[0].Type, inputs[2].History[0].State, inputs[2].History[0].Playbook}, " "))

	forged := inputs[3]
	require.Equal(t, playbook.Forged, forged.Binding)
	require.Nil(t, forged.Pod)
	require.Empty(t, forged.History, "n2's container is another one")
	require.Equal(t, 1, b.count("incidents WHERE key = 'forged/n2'"))
	require.Equal(t, 1, b.count("audit WHERE kind = 'alert.forged'"))
	require.EqualValues(t, 1, b.Counts()["forged"])
	require.Equal(t, 1, b.count("incidents WHERE key = 'owner/shop/ReplicaSet/web' AND alerts = 3"))
}

func TestARefusedDecisionIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *ingest.Options) {
		o.Playbooks = answers(func(playbook.Input) []playbook.Decision {
			return []playbook.Decision{{
				Playbook: "pb", Revision: "r1", Mode: playbook.Enforce, Input: json.RawMessage(`{}`), Refusal: "action[0].type: missing",
				Proposals: []playbook.Proposal{killOwn},
			}}
		})
	})
	b.handle(deliver(t, anAlert(1)))
	require.Equal(t, []string{"refused: action[0].type: missing"}, b.texts("SELECT state || ': ' || reason FROM decisions"))
	require.Zero(t, b.count("actions"))
	require.Equal(t, 1, b.count("audit WHERE kind = 'decision.refused'"))
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	beat := func(node string, boot string) []byte {
		data, err := json.Marshal(alert.Heartbeat{Cluster: "prod", Node: node, BootID: boot, Version: "1"})
		require.NoError(t, err)
		return data
	}
	subject := alert.HeartbeatSubject("prod", "n.1")
	said := func(subject string, data []byte) { b.Heartbeats(t.Context(), map[string][]byte{subject: data}) }
	said(subject, beat("n.1", bootID))
	said(subject, beat("n.1", podUID))
	require.Equal(t, []string{podUID}, b.texts("SELECT boot_id::text FROM agents WHERE node = 'n.1'"))
	for i, bad := range [][]byte{beat("n.2", bootID), beat("n.1", "x"), []byte(`{`), nil, []byte(fmt.Sprintf("%70000s", "{}"))} {
		said(subject, bad)
		require.EqualValues(t, i+1, b.Counts()["heartbeats_rejected"])
	}
	require.Equal(t, 1, b.count("agents"))

	// Many at a time, in any order, one of them bad, and two whose names are one in the database.
	many := map[string][]byte{subject: beat("n.3", bootID)}
	for _, node := range []string{"n.4", "n.5", "n.6", "a\x00", "a\x00"[:1] + "\uFFFD"} {
		many[alert.HeartbeatSubject("prod", node)] = beat(node, bootID)
	}
	b.Heartbeats(t.Context(), many)
	require.Equal(t, 5, b.count("agents"))
	require.Equal(t, 6, b.count("agent_runs"))
	require.EqualValues(t, 7, b.Counts()["heartbeats"])
}
