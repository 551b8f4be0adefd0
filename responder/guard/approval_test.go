package guard_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/guard"
	"riposte/responder/store/storetest"
)

func (d *desk) answer(id, who string, agrees bool) error {
	return d.Answer(d.t.Context(), id, guard.Answer{Actor: "user:" + who, Agrees: agrees, Comment: "so says " + who})
}

func (d *desk) entries(id string) []string {
	d.t.Helper()
	return storetest.Texts(d.t, d.store, `SELECT kind || ' ' || result || ' ' || actor FROM audit WHERE action_id = $1 ORDER BY seq`, id)
}

func (d *desk) jobs(id string) string {
	d.t.Helper()
	return d.text(`SELECT count(*)::text FROM river.river_job WHERE args->>'action' = $1`, id)
}

// One person's consent takes an action beyond the budget, and it counts there.
func TestApproveBeyondTheBudget(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) { l.Node = guard.Budget{Count: 1, Window: time.Hour} }))
	d.one(about(1))
	q := about(2)
	waits := d.one(q)
	require.Equal(t, "approve budget-node", waits.String())
	require.Equal(t, "refuse not-judged", outcome{Verdict: d.release(waits.ID, q)}.String(), "nobody executes it before")
	require.NoError(t, d.answer(waits.ID, "jane", true))
	require.Equal(t, "planned/", d.row(waits.ID))
	require.Equal(t, "1", d.jobs(waits.ID))
	require.Equal(t, []string{"approval approved user:jane", "action.intent planned playbook:p@r1"}, d.entries(waits.ID))
	require.Equal(t, "allow", outcome{Verdict: d.release(waits.ID, q)}.String())
	require.Equal(t, "2", d.text(`SELECT count(*)::text FROM guard_reservations WHERE scope = 'node'`))
	require.ErrorIs(t, d.answer(waits.ID, "tom", true), guard.ErrNotWaiting)
	require.ErrorIs(t, d.answer(waits.ID, "tom", false), guard.ErrNotWaiting)
}

func TestTwoPeople(t *testing.T) {
	d := newDesk(t)
	q := cordon("n1")
	waits := d.one(q)
	require.NoError(t, d.answer(waits.ID, "jane", true))
	require.Equal(t, "waiting/two-person", d.row(waits.ID))
	require.ErrorIs(t, d.answer(waits.ID, "jane", true), guard.ErrVoted, "one person does not agree for two")
	require.Equal(t, "0", d.jobs(waits.ID))
	// Somebody who makes it planned in the database alone does not get around it.
	d.exec(`UPDATE actions SET state = 'planned' WHERE id = $1`, waits.ID)
	require.Equal(t, "refuse not-judged", outcome{Verdict: d.release(waits.ID, q)}.String())
	d.exec(`UPDATE actions SET state = 'waiting' WHERE id = $1`, waits.ID)
	require.NoError(t, d.answer(waits.ID, "tom", true))
	require.Equal(t, "planned/", d.row(waits.ID))
	require.Equal(t, []string{"approval approved 1 of 2 user:jane", "approval approved user:tom", "action.intent planned playbook:p@r1"}, d.entries(waits.ID))
	require.Contains(t, d.text(`SELECT note FROM audit WHERE kind = 'action.intent'`), "approved by user:jane, user:tom")
	require.Equal(t, "allow", outcome{Verdict: d.release(waits.ID, q)}.String())
}

// Two people at the same moment: one of them is the last, and it is planned once.
func TestAnswersAtOnce(t *testing.T) {
	d := newDesk(t)
	waits := d.one(cordon("n1"))
	var wg sync.WaitGroup
	errs := make(chan error, 6)
	for _, who := range []string{"jane", "tom", "kim", "jane", "tom", "kim"} {
		wg.Go(func() { errs <- d.answer(waits.ID, who, true) })
	}
	wg.Wait()
	close(errs)
	taken := 0
	for err := range errs {
		switch {
		case err == nil:
			taken++
		case !errors.Is(err, guard.ErrVoted) && !errors.Is(err, guard.ErrNotWaiting):
			require.NoError(t, err)
		}
	}
	require.Equal(t, 2, taken)
	require.Equal(t, "planned/", d.row(waits.ID))
	require.Equal(t, "1", d.jobs(waits.ID))
}

func TestReject(t *testing.T) {
	d := newDesk(t)
	waits := d.one(cordon("n1"))
	d.cluster.set(0, errors.New("away")) // to say no needs no cluster
	require.NoError(t, d.answer(waits.ID, "tom", false))
	require.Equal(t, "rejected/", d.row(waits.ID))
	require.Equal(t, []string{"approval rejected user:tom"}, d.entries(waits.ID))
	require.ErrorIs(t, d.answer(waits.ID, "jane", true), guard.ErrStopped)
	d.cluster.set(0, nil)
	require.ErrorIs(t, d.answer(waits.ID, "jane", true), guard.ErrNotWaiting)
}

// Agreeing covers what was asked. What came up since is asked anew.
func TestQuestionChanges(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) { l.CordonedNodes = 1 }))
	waits := d.one(cordon("n1"))
	require.NoError(t, d.answer(waits.ID, "jane", true))
	d.cluster.set(0, nil, "n7")
	err := d.answer(waits.ID, "tom", true)
	require.ErrorIs(t, err, guard.ErrChanged)
	require.ErrorContains(t, err, "1 nodes of cluster c take no new pods")
	require.Equal(t, "waiting/two-person", d.row(waits.ID))
	require.Equal(t, `{two-person,cordoned-nodes}`, d.text(`SELECT rules::text FROM approvals`))
	require.NoError(t, d.answer(waits.ID, "tom", true), "both answer again")
	require.NoError(t, d.answer(waits.ID, "jane", true))
	require.Equal(t, "planned/", d.row(waits.ID))
	require.Equal(t, "allow", outcome{Verdict: d.release(waits.ID, cordon("n1"))}.String())
}

// No consent helps against what refuses.
func TestConsentIsNoKey(t *testing.T) {
	d := newDesk(t, limits(func(l *guard.Limits) { l.Node = guard.Budget{Count: 0, Window: time.Hour} }))
	q := about(1)
	waits := d.one(q)
	require.NoError(t, d.Turn(t.Context(), guard.Switch{On: true, Actor: "user:jane"}))
	require.ErrorIs(t, d.answer(waits.ID, "tom", true), guard.ErrStopped)
	require.Equal(t, "waiting/budget-node", d.row(waits.ID))
	require.Equal(t, "0", d.text(`SELECT count(*)::text FROM approval_votes`), "the answer does not count")
	require.NoError(t, d.Turn(t.Context(), guard.Switch{Actor: "user:jane"}))

	other := deskOn(t, d.store, func(o *guard.Options) { o.ProtectedNamespaces = []string{"shop"} })
	require.ErrorIs(t, other.answer(waits.ID, "tom", true), guard.ErrStopped, "it was protected meanwhile")
	d.cluster.set(0, errors.New("away"))
	require.ErrorIs(t, d.answer(waits.ID, "tom", true), guard.ErrStopped)
	d.cluster.set(10, nil)
	require.NoError(t, d.answer(waits.ID, "tom", true))
	require.Equal(t, "refuse protected-namespace", outcome{Verdict: other.release(waits.ID, q)}.String())
}

// Nobody answers: nothing is done, and the record says so.
func TestApprovalsLapse(t *testing.T) {
	now := time.Now()
	d := newDesk(t, func(o *guard.Options) { o.Now = func() time.Time { return now } })
	waits, young := d.one(cordon("n1")), d.one(cordon("n2"))
	d.exec(`UPDATE actions SET expires_ns = expires_ns + 3600000000000 WHERE id = $1`, young.ID)
	n, err := d.Lapse(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	now = now.Add(90 * time.Minute)
	require.ErrorIs(t, d.answer(waits.ID, "jane", true), guard.ErrNotWaiting, "its time is over, whether anybody saw it or not")
	n, err = d.Lapse(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, "expired/two-person", d.row(waits.ID))
	require.Equal(t, "waiting/two-person", d.row(young.ID))
	require.Equal(t, []string{"approval expired system:guard"}, d.entries(waits.ID))
	require.Equal(t, "0", d.jobs(waits.ID))
}

func TestNobodyWasAsked(t *testing.T) {
	d := newDesk(t)
	done := d.one(about(1))
	require.ErrorIs(t, d.answer(done.ID, "jane", true), guard.ErrNotWaiting)
	require.ErrorIs(t, d.answer("01950000-0000-7000-8000-c00000000001", "jane", true), guard.ErrNotWaiting)
}
