package ingest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// A dead letter is driven again once its cause is mended, and is stored once.
func TestRedrive(t *testing.T) {
	t.Parallel()
	broken := true
	b := setup(t, func(o *ingest.Options) {
		o.Tries = 1
		o.Playbooks = answers(func(in playbook.Input) []playbook.Decision {
			if broken {
				panic("a bug")
			}
			return propose(killOwn)(in)
		})
	})
	d := deliver(t, anAlert(1))
	b.handle(d)
	require.Len(t, d.terms, 1)
	id := b.texts("SELECT id::text FROM dead_letters WHERE reason = 'unstorable'")[0]

	require.ErrorIs(t, b.Redrive(t.Context(), id, "user:test", "again"), ingest.ErrStillDead)
	require.Equal(t, 1, b.count("dead_letters WHERE state = 'dead'"))
	broken = false
	require.NoError(t, b.Redrive(t.Context(), id[len(id)-12:], "user:test", "mended"))
	require.NoError(t, b.Redrive(t.Context(), id, "user:test", "twice"))
	require.Equal(t, 1, b.count("dead_letters WHERE state = 'redriven'"))
	require.Equal(t, 1, b.count("alerts"))
	require.Equal(t, 1, b.count("actions"))
	require.Equal(t, []string{"unstorable", "asked", "still dead", "asked", "redriven", "asked", "redriven"}, b.texts("SELECT result FROM audit WHERE kind = 'deadletter' ORDER BY seq"))
	require.ErrorIs(t, b.Redrive(t.Context(), bootID, "user:test", ""), store.ErrNotFound)
}

// A loss that died is driven again as a loss.
func TestRedriveALoss(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.store.Pool().Exec(t.Context(), `INSERT INTO dead_letters (id, subject, message_id, cluster, node, reason, error, body, received_at, died_at)
		VALUES ($1::text::uuid, 'alerts.prod.n1.loss', 'x', 'prod', 'n1', 'unstorable', '', $2, now(), now())`, podUID,
		[]byte(`{"schema":1,"cluster":"prod","node":"n1","boot_id":"`+bootID+`","ranges":[{"first":1,"last":2,"count":1,"reason":"several"}]}`))
	require.NoError(t, err)
	require.NoError(t, b.Redrive(t.Context(), podUID, "user:test", "again"))
	require.Equal(t, 1, b.count("losses"))
	require.Equal(t, 1, b.count("dead_letters WHERE state = 'redriven'"))
}

// The same bad message is one dead letter, and one node cannot fill the table.
func TestDeadLettersAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.store.Pool().Exec(t.Context(), `INSERT INTO dead_letters (id, subject, message_id, cluster, node, reason, error, body, received_at, died_at)
		SELECT gen_random_uuid(), '', '', 'prod', 'n1', 'malformed', '', '', now(), now() FROM generate_series(1, $1)`, store.MaxDeadLetters-1)
	require.NoError(t, err)
	bad := func(body, node string) *delivery {
		return &delivery{subject: alert.Subject("prod", node, alert.Critical), id: "x", data: []byte(body), received: time.Now()}
	}
	last, over, other := bad("{", "n1"), bad("{{", "n1"), bad("{{", "n2")
	b.handle(last, last, over, other)
	for _, d := range []*delivery{last, over, other} {
		require.NotEmpty(t, d.terms)
	}
	require.Equal(t, 1, b.count("dead_letters WHERE deaths = 2"))
	require.Equal(t, store.MaxDeadLetters, b.count("dead_letters WHERE node = 'n1'"))
	require.Equal(t, 1, b.count("dead_letters WHERE node = 'n2'"))
	require.EqualValues(t, 1, b.Counts()["dead_letters_dropped"])
	require.Equal(t, 3, b.count("audit WHERE kind = 'deadletter'"))
}

// While the database is away a bad message waits as a good one does.
func TestABadMessageWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.Close()
	d := deliver(t, anAlert(1))
	d.data = []byte("{")
	b.handle(d)
	require.Len(t, d.naks, 1)
	require.Empty(t, d.terms)
}
