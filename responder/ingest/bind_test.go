package ingest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

// deaf is an API server that does not answer until it is told to.
type deaf struct {
	pods
	silent bool
}

func (d *deaf) Bind(node, uid string) (playbook.Binding, *playbook.Pod, error) {
	if d.silent {
		return playbook.Unbound, nil, errors.New("no answer")
	}
	return d.pods.Bind(node, uid)
}

// A fresh pod's first alert comes while the API server is away: it is not decided
// until somebody knows, and other alerts do not wait for it.
func TestAnUnknownPodIsAskedForAgain(t *testing.T) {
	t.Parallel()
	api := &deaf{pods: webOnN1, silent: true}
	b := setup(t, func(o *ingest.Options) { o.Binder, o.Playbooks = api, propose(deletePod) })
	fresh, other := deliver(t, anAlert(1, inPod)), deliver(t, anAlert(2))
	b.handle(fresh, other)
	require.Equal(t, 1, other.acks)
	require.Zero(t, fresh.acks)
	require.Len(t, fresh.naks, 1)
	api.silent = false
	b.handle(fresh)
	require.Equal(t, 1, fresh.acks)
	require.Equal(t, 1, b.count("alerts WHERE binding = 'bound'"))
	require.Equal(t, 1, b.count("actions WHERE state = 'planned' AND type = 'delete_pod'"))
}

func TestAPodThatNobodyCanTellIsUnboundInTheEnd(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *ingest.Options) { o.Binder, o.Playbooks = &deaf{silent: true}, propose(deletePod) })
	d := deliver(t, anAlert(1, inPod))
	var waited time.Duration
	for range 100 {
		if b.handle(d); d.acks > 0 {
			break
		}
		waited += d.naks[len(d.naks)-1]
	}
	require.Equal(t, 1, d.acks)
	require.Equal(t, 1, b.count("alerts WHERE binding = 'unbound'"))
	require.Equal(t, 1, b.count("actions WHERE state = 'refused'"))
	require.Less(t, waited, 15*time.Second)
	require.Greater(t, waited, 5*time.Second)
	require.EqualValues(t, len(d.naks), b.Counts()["deferred"])
}

// An alert, its incident and its actions have the pod's labels, as far as somebody says
// them whose word counts.
func TestLabels(t *testing.T) {
	t.Parallel()
	labelled := pods(func(node, uid string) (playbook.Binding, *playbook.Pod) {
		binding, pod := webOnN1(node, uid)
		if binding == playbook.Forged {
			return binding, nil
		}
		if pod != nil {
			pod.Labels = map[string]string{"app": "web\x00", "tier": "front"}
		}
		return binding, pod
	})
	b := setup(t, func(o *ingest.Options) { o.Binder, o.Playbooks = labelled, propose(deletePod) })
	claims := func(uid string) func(*alert.Alert) {
		return func(a *alert.Alert) {
			inPod(a)
			a.Riposte.Pod.UID, a.Riposte.Pod.Labels = uid, map[string]string{"app": "claimed"}
		}
	}
	b.handle(deliver(t, anAlert(1, claims(podUID))), deliver(t, anAlert(2, claims("another-uid"))), deliver(t, anAlert(3)))
	const known, claimed = `labels = '{"app": "web\uFFFD", "tier": "front"}'`, `labels = '{"app": "claimed"}'`
	require.Equal(t, 1, b.count("alerts WHERE binding = 'bound' AND "+known))
	require.Equal(t, 1, b.count("incidents WHERE "+known))
	require.Equal(t, 1, b.count("actions WHERE state = 'planned' AND "+known))
	require.Equal(t, 1, b.count("audit WHERE kind = 'action.intent' AND "+known))
	require.Equal(t, 1, b.count("alerts WHERE binding = 'unbound' AND "+claimed))
	require.Equal(t, 1, b.count("actions WHERE state = 'planned' AND namespace = 'shop'"))
	require.Equal(t, 1, b.count("audit WHERE kind = 'action.intent' AND namespace = 'shop'"))
	require.Equal(t, 2, b.count("audit WHERE kind = 'alert' AND namespace = 'shop'"))
	require.Equal(t, 1, b.count("audit WHERE kind = 'alert' AND namespace = ''"))
	require.Equal(t, 1, b.count("alerts WHERE binding = 'none' AND labels IS NULL"))
}

// What is asked of the record by namespace, name or UID has the alerts of a pod too, the
// decisions about them and the incident that they opened.
func TestEntriesSayWhichPodTheyAreAbout(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *ingest.Options) { o.Binder, o.Playbooks = pods(webOnN1), propose(deletePod) })
	claims := func(a *alert.Alert) {
		inPod(a)
		a.Riposte.Pod.UID, a.Riposte.Pod.Name = "another-uid", "claimed"
	}
	b.handle(deliver(t, anAlert(1, inPod)), deliver(t, anAlert(2, claims)), deliver(t, anAlert(3)))
	of := func(kind, namespace, name, uid string) int {
		return b.count("audit WHERE kind = '" + kind + "' AND target_kind = 'pod' AND target_namespace = '" + namespace + "' AND target_name = '" + name + "' AND target_uid = '" + uid + "'")
	}
	for _, kind := range []string{"alert", "decision", "incident.opened"} {
		require.Equal(t, 1, of(kind, "shop", "web-1", podUID), kind)
		require.Equal(t, 1, of(kind, "shop", "claimed", "another-uid"), kind)
		require.Equal(t, 1, b.count("audit WHERE kind = '"+kind+"' AND node = 'n1' AND coalesce(target_kind, target_namespace, target_name, target_uid) IS NULL"), kind)
	}
	r, err := audit.Verify(t.Context(), b.Store.Pool(), audit.Evidence{})
	require.NoError(t, err)
	require.True(t, r.OK, "%+v", r)
}

// An agent says what it dropped, for itself alone.
func TestLoss(t *testing.T) {
	t.Parallel()
	b := setup(t)
	loss := func(subject, node, ranges string) *delivery {
		return &delivery{subject: subject, received: time.Now(), data: []byte(`{"schema":1,"cluster":"prod","node":"` + node + `","boot_id":"` + bootID + `","ranges":` + ranges + `}`)}
	}
	const own = "alerts.prod.n1.loss"
	good, again := loss(own, "n1", `[{"first":2,"last":9,"count":8,"reason":"spool_full"}]`), loss(own, "n1", `[{"first":2,"last":9,"count":8,"reason":"spool_full"}]`)
	b.handle(good, deliver(t, anAlert(1)), again)
	require.Equal(t, []int{1, 1}, []int{good.acks, again.acks})
	require.Equal(t, 1, b.count("losses WHERE first = 2 AND last = 9 AND count = 8 AND node = 'n1'"))
	require.Equal(t, 1, b.count("audit WHERE kind = 'alert.lost'"))
	for _, bad := range []*delivery{
		loss(own, "n2", `[{"first":2,"last":9,"count":8}]`), loss("alerts.prod.n2.loss", "n1", `[{"first":2,"last":9,"count":8}]`),
		loss(own, "n1", `[]`), loss(own, "n1", `[{"first":0,"last":9,"count":8}]`), loss(own, "n1", `[{"first":9,"last":8,"count":1}]`),
		loss(own, "n1", `[{"first":1,"last":18446744073709551615,"count":1}]`), loss(own, "n1", `[{"first":1,"last":2,"count":3}]`), loss(own, "n1", `7`),
	} {
		b.handle(bad)
		require.Len(t, bad.terms, 1, string(bad.data))
	}
	require.Equal(t, 1, b.count("losses"))
	require.Equal(t, 8, b.count("dead_letters"))
}
