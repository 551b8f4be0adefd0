package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// What can never be an alert is put aside at once.
func TestRejected(t *testing.T) {
	t.Parallel()
	b := setup(t)
	foreign := deliver(t, anAlert(1))
	foreign.subject = alert.Subject("prod", "n2", alert.Critical)
	oversize := deliver(t, anAlert(2, func(a *alert.Alert) { a.Output = strings.Repeat("x", alert.MaxBytes) }))
	malformed := deliver(t, anAlert(3))
	malformed.data = malformed.data[:len(malformed.data)-2]
	good := deliver(t, anAlert(4))
	b.handle(foreign, oversize, malformed, good)
	for d, why := range map[*delivery]string{foreign: "foreign", oversize: "oversize", malformed: "malformed"} {
		require.Equal(t, []string{why}, d.terms)
		require.Zero(t, d.acks)
		require.EqualValues(t, 1, b.Counts()["rejected_"+why])
	}
	require.Equal(t, 1, good.acks)
	require.Equal(t, 1, b.count("alerts"))
	require.Equal(t, 1, b.count("inbox"))
	require.Equal(t, []string{"foreign n2", "malformed n1", "oversize n1"}, b.texts("SELECT reason || ' ' || node FROM dead_letters ORDER BY reason"))
	require.Equal(t, 1, b.count("dead_letters WHERE body = $1 AND subject = $2 AND message_id = $3", oversize.data, oversize.subject, oversize.id))
	require.Equal(t, 3, b.count("audit WHERE kind = 'deadletter'"))
}

// Text that Postgres does not take as it is must not stop an alert.
func TestHostileTextIsStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := strings.Repeat("/../\x00\xff", 1000)
	d := deliver(t, anAlert(1, func(a *alert.Alert) {
		a.Rule, a.Output, a.Hostname, a.Source = "r\x00", "\x00\u202e'; DROP TABLE alerts; --", "\x00", "\x00"
		a.Riposte.Container.ID, a.Riposte.Process.ExePath = "\x00", long
		a.OutputFields["evil"] = "\x00"
	}))
	host := deliver(t, anAlert(2, func(a *alert.Alert) { a.Riposte.Container = nil; a.Riposte.Process.ExePath = long }))
	raw := deliver(t, anAlert(3, func(a *alert.Alert) { a.Output = "MARK" }))
	raw.data = []byte(strings.Replace(string(raw.data), "MARK", "\xff\xfe", 1))
	b.handle(d, host, raw)
	for _, m := range []*delivery{d, host, raw} {
		require.Equal(t, 1, m.acks)
	}
	require.Equal(t, 3, b.count("alerts"))
	require.Equal(t, 3, b.count("incidents WHERE length(key) <= 256"))
	for _, body := range b.texts("SELECT body FROM alerts") {
		require.True(t, json.Valid([]byte(body)))
	}
}

// One alert of a batch that cannot be stored: the others are, and it is given up
// after some tries, with an entry in the record.
func TestAPoisonousAlert(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *ingest.Options) {
		o.Playbooks = answers(func(in playbook.Input) []playbook.Decision {
			if in.Alert.Riposte.Seq == 3 {
				panic("this one is not to be borne")
			}
			return propose(killOwn)(in)
		})
	})
	// Its id is taken: a unique key refuses it.
	taken := anAlert(2, distinct)
	b.handle(deliver(t, taken))
	var batch []*delivery
	for seq := uint64(3); seq < 64; seq++ {
		batch = append(batch, deliver(t, anAlert(seq, distinct)))
	}
	batch = append(batch, deliver(t, anAlert(64, distinct, func(a *alert.Alert) { a.UUID = taken.UUID })))
	b.handle(batch...)
	poison := map[int]bool{0: true, len(batch) - 1: true}
	for i, d := range batch {
		if poison[i] {
			require.Zero(t, d.acks)
			require.Len(t, d.naks, 1)
			require.Positive(t, d.naks[0], "never at once again")
			continue
		}
		require.Equal(t, 1, d.acks, "message %d", i)
	}
	require.Equal(t, 1+60, b.count("alerts"))

	for i := range poison {
		d := batch[i]
		for range 4 {
			require.Empty(t, d.terms)
			b.handle(d)
		}
		require.Len(t, d.terms, 1)
		require.Zero(t, d.acks)
	}
	require.EqualValues(t, 2, b.Counts()["dead_letters"])
	notes := b.texts("SELECT note FROM audit WHERE kind = 'deadletter' AND result = 'unstorable' ORDER BY seq")
	require.Len(t, notes, 2)
	require.Contains(t, strings.Join(notes, "\n"), "not to be borne")
	require.Regexp(t, `alerts_\w+_pkey`, strings.Join(notes, "\n"))
}

// If the jobs cannot be written nothing is: no alert without what follows from it.
func TestAllOrNothing(t *testing.T) {
	t.Parallel()
	fail := true
	b := setup(t, func(o *ingest.Options) {
		enqueue := o.Enqueue
		o.Enqueue = func(ctx context.Context, tx store.Tx, ids ...string) error {
			if fail {
				return errors.New("no queue")
			}
			return enqueue(ctx, tx, ids...)
		}
	})
	d := deliver(t, anAlert(1))
	b.handle(d)
	for _, table := range []string{"inbox", "incidents", "alerts", "decisions", "actions", "audit", "river.river_job"} {
		require.Zero(t, b.count(table), table)
	}
	require.Zero(t, d.acks)
	fail = false
	b.handle(d)
	require.Equal(t, 1, d.acks)
	require.Equal(t, 1, b.count("river.river_job"))
}

func TestTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.Close()
	d := deliver(t, anAlert(1))
	for range 6 { // more than a faulty message gets
		b.handle(d)
	}
	require.Zero(t, d.acks)
	require.Empty(t, d.terms)
	require.Len(t, d.naks, 6)
	require.Less(t, d.naks[0], d.naks[3])
	require.EqualValues(t, 6, b.Counts()["waited"])
}
