package watch_test

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/incident"
	"riposte/responder/ingest/watch"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// bench is a Watch whose clock and stream the test moves.
type bench struct {
	t          *testing.T
	store      *store.Store
	options    watch.Options
	now        time.Time
	boot       string
	last, done uint64
}

func setup(t *testing.T) *bench {
	b := &bench{t: t, store: storetest.New(t), now: time.Now().Truncate(time.Microsecond), boot: uuid.NewString()}
	b.options = watch.Options{
		Store: b.store, Now: func() time.Time { return b.now }, Hearing: func() time.Time { return time.Unix(1, 0) },
		Position: b.position,
	}
	return b
}

// look looks with two responders at a time, some seconds later.
func (b *bench) look(later time.Duration) {
	b.t.Helper()
	b.now = b.now.Add(later)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := watch.New(b.options).Look(b.t.Context()); err != nil {
				b.t.Error(err)
			}
		})
	}
	both.Wait()
}

func (b *bench) arrive(seqs ...uint64) {
	b.t.Helper()
	var all []store.Arrival
	for _, seq := range seqs {
		all = append(all, store.Arrival{Origin: store.Origin{Cluster: "c", Node: "n", BootID: b.boot, Seq: seq}, AlertID: uuid.NewString(), Received: b.now})
	}
	require.NoError(b.t, b.store.InTx(b.t.Context(), func(tx store.Tx) error {
		if err := tx.NoteRuns(b.t.Context(), []store.RunKey{{Cluster: "c", Node: "n", BootID: b.boot}}, b.now); err != nil {
			return err
		}
		_, err := tx.Arrive(b.t.Context(), all)
		return err
	}))
}

func (b *bench) beat(seq, waiting uint64) {
	b.t.Helper()
	body, err := json.Marshal(alert.Heartbeat{Cluster: "c", Node: "n", BootID: b.boot, Seq: seq, Waiting: waiting})
	require.NoError(b.t, err)
	beat := store.Beat{RunKey: store.RunKey{Cluster: "c", Node: "n", BootID: b.boot}, Seq: seq, Body: body}
	require.NoError(b.t, b.store.SaveBeats(b.t.Context(), []store.Beat{beat}, b.now))
}

// announce says that some alerts are dropped, as the ingest stores it.
func (b *bench) announce(first, last uint64) {
	b.t.Helper()
	l := alert.Loss{Cluster: "c", Node: "n", BootID: b.boot, Ranges: []alert.LossRange{{First: first, Last: last, Count: last - first + 1, Reason: "spool_full"}}}
	require.NoError(b.t, b.store.InTx(b.t.Context(), func(tx store.Tx) error {
		_, err := tx.AddLosses(b.t.Context(), l, b.now)
		return err
	}))
}

func (b *bench) texts(sql string) []string {
	b.t.Helper()
	return storetest.Texts(b.t, b.store, sql)
}

func (b *bench) incidents() []string {
	b.t.Helper()
	return b.texts("SELECT kind || ' ' || state FROM incidents ORDER BY first_at, kind")
}

// TestHeartbeatsDuringLooks: rows of runs are locked in one order, with gaps and without.
func TestHeartbeatsDuringLooks(t *testing.T) {
	b := setup(t)
	boots := []string{"00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"}
	var beats []store.Beat
	for i, boot := range boots {
		beats = append(beats, store.Beat{RunKey: store.RunKey{Cluster: "c", Node: "n", BootID: boot}, Seq: uint64(1000 + 1000*i), Body: []byte("{}")})
	}
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	defer others.Wait()
	defer stop()
	for range 2 {
		others.Go(func() {
			for ctx.Err() == nil {
				if err := b.store.SaveBeats(ctx, beats, b.now); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	for n := range uint64(100) {
		b.boot = boots[1] // goes on without a gap, while the first has one
		b.arrive(n + 1)
		b.boot = boots[0]
		b.arrive(2*n + 2)
		require.NoError(t, watch.New(b.options).Look(t.Context()))
	}
}

func TestAGapIsOneIncidentThatEndsByItself(t *testing.T) {
	b := setup(t)
	b.arrive(1, 2, 5)
	b.beat(6, 0)
	b.look(0)
	b.look(29 * time.Second)
	require.Empty(t, b.incidents())
	b.beat(6, 0)
	b.look(2 * time.Second)
	b.look(time.Minute)
	require.Contains(t, b.incidents(), "gap open")
	require.Equal(t, []string{"1"}, b.texts("SELECT count(*)::text FROM incidents WHERE kind = 'gap'"))
	require.Contains(t, b.texts("SELECT reason FROM incident_history WHERE to_state = 'open'")[0], "alerts 3 to 4 of run "+b.boot)

	b.arrive(4)
	b.beat(6, 0)
	b.look(time.Second)
	require.Contains(t, b.incidents(), "gap open")
	b.arrive(3)
	b.announce(6, 6)
	b.look(time.Second)
	require.Contains(t, b.incidents(), "gap resolved")
	require.Equal(t, []string{"6"}, b.texts("SELECT complete::text FROM agent_runs WHERE gap_since IS NULL AND gap_incident IS NULL"))
	report, err := audit.Verify(t.Context(), b.store.Pool(), audit.Evidence{})
	require.NoError(t, err)
	require.True(t, report.OK)
	require.Len(t, b.texts("SELECT kind FROM audit WHERE kind LIKE 'incident%' AND body::text LIKE '%'"), len(b.texts("SELECT to_state FROM incident_history")))
}

// Of many agents most have no gap: they are moved on together, and those that have one
// are found among them.
func TestAGapAmongManyRuns(t *testing.T) {
	b := setup(t)
	var boots []string
	for i := range 20 {
		b.boot = uuid.NewString()
		boots = append(boots, b.boot)
		if i == 7 {
			b.arrive(1, 2, 4)
			b.announce(5, 6)
			continue
		}
		b.arrive(1, 2, 3, 4)
	}
	b.look(0)
	require.Equal(t, []string{"2", "4"}, b.texts("SELECT DISTINCT complete::text FROM agent_runs ORDER BY 1"))
	require.Equal(t, []string{boots[7]}, b.texts("SELECT boot_id::text FROM agent_runs WHERE gap_since IS NOT NULL"))
	b.boot = boots[7]
	b.arrive(3)
	b.look(time.Second)
	require.Equal(t, []string{"6"}, b.texts("SELECT complete::text FROM agent_runs WHERE boot_id = '"+boots[7]+"' AND gap_since IS NULL"))
	b.boot = boots[3]
	b.arrive(5)
	b.beat(6, 0)
	b.look(time.Second)
	require.Equal(t, []string{"5"}, b.texts("SELECT complete::text FROM agent_runs WHERE boot_id = '"+boots[3]+"' AND gap_since IS NOT NULL"), "the last one is missing")
	require.Empty(t, b.incidents())
}

func TestAnAnnouncedGapIsNone(t *testing.T) {
	b := setup(t)
	b.arrive(1, 9)
	b.announce(2, 8)
	for range 5 {
		b.beat(9, 0)
		b.look(20 * time.Second)
	}
	require.Empty(t, b.incidents())
}

// What may still come is waited for: in the stream, or at the agent. Not for ever.
func TestAnExplainedGapWaits(t *testing.T) {
	b := setup(t)
	b.arrive(2)
	b.last = 10
	b.beat(2, 0)
	b.look(0)
	for range 3 {
		b.beat(2, 0)
		b.look(20 * time.Second)
	}
	require.Empty(t, b.incidents(), "the stream has it, maybe")
	b.done, b.last = 10, 20
	b.beat(2, 1)
	b.look(time.Second)
	require.Empty(t, b.incidents(), "the agent has it, maybe")
	b.beat(2, 0)
	b.look(time.Second)
	require.Equal(t, []string{"gap open"}, b.incidents())

	b = setup(t)
	b.arrive(2)
	b.beat(2, 1)
	b.look(0)
	for range 61 {
		b.beat(2, 1)
		b.look(10 * time.Second)
	}
	require.Equal(t, []string{"gap open"}, b.incidents(), "an agent that always says so")
}

// A person resolves a gap: nobody waits for it any more, but for the next one.
func TestAGapThatAPersonAccepts(t *testing.T) {
	b := setup(t)
	b.arrive(1, 3)
	b.beat(3, 0)
	b.look(0)
	b.beat(3, 0)
	b.look(31 * time.Second)
	id := b.texts("SELECT id::text FROM incidents WHERE kind = 'gap'")[0]
	require.NoError(t, b.store.InTx(t.Context(), func(tx store.Tx) error {
		return incident.Change{ID: id, To: incident.Resolved, At: b.now, Actor: "user:x", Reason: "known"}.Apply(t.Context(), tx)
	}))
	b.beat(3, 0)
	b.look(31 * time.Second)
	b.beat(3, 0)
	b.look(31 * time.Second)
	require.Equal(t, []string{"gap resolved"}, b.incidents())
	require.Equal(t, []string{"2 2 accepted"}, b.texts("SELECT first || ' ' || last || ' ' || reason FROM losses"))
	b.arrive(5)
	b.beat(5, 0)
	b.look(time.Second)
	b.beat(5, 0)
	b.look(31 * time.Second)
	require.Equal(t, []string{"gap resolved", "gap open"}, b.incidents())
}

func TestSilence(t *testing.T) {
	b := setup(t)
	b.beat(0, 0)
	b.look(59 * time.Second)
	require.Empty(t, b.incidents())
	hearing := b.now
	b.options.Hearing = func() time.Time { return hearing }
	b.look(2 * time.Second)
	require.Empty(t, b.incidents(), "nobody was listening")
	b.look(time.Minute)
	b.look(time.Hour)
	require.Equal(t, []string{"silence open"}, b.incidents())
	b.beat(0, 0)
	b.look(time.Second)
	require.Equal(t, []string{"silence resolved"}, b.incidents())
	b.look(time.Hour)
	require.Equal(t, []string{"silence resolved", "silence open"}, b.incidents())
}

func TestContained(t *testing.T) {
	b := setup(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := b.store.Pool().Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	i, a, d := uuid.NewString(), uuid.NewString(), uuid.NewString()
	exec("INSERT INTO incidents (id, cluster, key, title, priority, first_at, last_at) VALUES ($1, 'c', 'k', 't', 2, $2, $2)", i, b.now)
	exec(`INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body)
		VALUES ($1, $2, 'c', 'n', 'r', 2, 's', 'o', 'none', false, 0, 0, 0, '{}')`, a, i)
	exec("INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, input, decided_ns) VALUES ($1, $2, 'p', 'r', 'enforce', 'decided', '{}', 0)", d, a)
	act := func(kind, state string, verified *int64) {
		t.Helper()
		exec(`INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, effect_key, playbook, revision, mode, reason, state, planned_ns, expires_ns, verified_ns, incident_id)
			VALUES (gen_random_uuid(), $1, $2, 'c', 'n', $3, '{}', gen_random_uuid()::text, 'p', 'r', 'enforce', '', $4, 0, 0, $5, $6)`, d, a, kind, state, verified, i)
	}
	at := b.now.UnixNano()
	act("collect_logs", "succeeded", &at)
	b.look(time.Second)
	require.Equal(t, []string{"alerts open"}, b.incidents(), "evidence contains nothing")
	act("kill_container", "succeeded", &at)
	act("delete_pod", "planned", nil)
	b.look(time.Second)
	require.Equal(t, []string{"alerts open"}, b.incidents(), "something is under way")
	exec("UPDATE actions SET state = 'failed' WHERE state = 'planned'")
	b.look(time.Second)
	require.Equal(t, []string{"alerts contained"}, b.incidents())
	require.Equal(t, []string{"system:watch"}, b.texts("SELECT actor FROM incident_history WHERE to_state = 'contained'"))
}

func (b *bench) position(context.Context) (last, done uint64, err error) { return b.last, b.done, nil }
