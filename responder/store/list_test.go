package store_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// seeded is a database with n alerts, each with one action and one entry in the
// record. Number i of each was made i seconds after base.
func seeded(t testing.TB, n int) *store.Store {
	t.Helper()
	s := storetest.New(t)
	for i := range n {
		require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error { return add(t.Context(), tx, i) }))
	}
	return s
}

var base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func alertID(i int) string  { return fmt.Sprintf("01950000-0000-7000-8000-a%011d", i) }
func actionID(i int) string { return fmt.Sprintf("01950000-0000-7000-8000-c%011d", i) }

func add(ctx context.Context, tx store.Tx, i int) error {
	ns := base.Add(time.Duration(i) * time.Second).UnixNano()
	incident := fmt.Sprintf("01950000-0000-7000-8000-b%011d", i)
	decision := fmt.Sprintf("01950000-0000-7000-8000-d%011d", i)
	if _, err := tx.Exec(ctx, `INSERT INTO incidents (id, cluster, key, title, priority, first_at, last_at) VALUES ($1, 'c', $2, 't', 2, now(), now())`, incident, incident); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, container_id, namespace, binding, recorded, kernel_ns, alert_ns, received_ns, body)
		VALUES ($1, $2, 'c', $3, $4, $5, 'syscall', 'o', $6, 'shop', 'none', false, $7, $8, $9, '{}')`,
		alertID(i), incident, fmt.Sprintf("node-%d", i%2), fmt.Sprintf("rule %d", i%3), i%8, fmt.Sprintf("%064x", i), ns, ns+1000, ns+2000); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, input, decided_ns) VALUES ($1, $2, 'p', 'r', 'enforce', 'decided', '{}', $3)`,
		decision, alertID(i), ns+3000); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, effect_key, playbook, revision, mode, reason, state, planned_ns, expires_ns, incident_id, namespace)
		VALUES ($1, $2, $3, 'c', 'node-0', 'kill_container', '{"kind":"container"}', $5, 'p', 'r', 'enforce', 'why', 'planned', $4, $4, $6, 'shop')`,
		actionID(i), decision, alertID(i), ns+4000, actionID(i), incident); err != nil {
		return err
	}
	return audit.Append(ctx, tx, audit.Entry{
		Cluster: "c", Namespace: "shop", Kind: audit.ActionIntent, Actor: audit.Playbook("p", "r"), At: time.Unix(0, ns), Result: "planned",
		Why: audit.Why{AlertID: alertID(i)}, What: audit.What{ActionID: actionID(i)},
	})
}

func TestPagesJoinWithoutGapOrOverlap(t *testing.T) {
	s := seeded(t, 23)
	lists := map[string]func(p store.Paging) ([]string, string, error){
		"alerts": func(p store.Paging) (ids []string, next string, err error) {
			rows, next, err := s.Alerts(t.Context(), store.Everything(), store.AlertFilter{}, p)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, next, err
		},
		"actions": func(p store.Paging) (ids []string, next string, err error) {
			rows, next, err := s.Actions(t.Context(), store.Everything(), store.ActionFilter{}, p)
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			return ids, next, err
		},
		"audit": func(p store.Paging) (ids []string, next string, err error) {
			rows, next, err := s.Audit(t.Context(), store.Everything(), store.AuditFilter{}, p)
			for _, r := range rows {
				ids = append(ids, strconv.FormatInt(r.Seq, 10))
			}
			return ids, next, err
		},
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			whole, next, err := list(store.Paging{})
			require.NoError(t, err)
			require.Len(t, whole, 23)
			require.Empty(t, next)
			for _, size := range []int{1, 5, 22, 23} {
				var got []string
				for p := (store.Paging{Limit: size}); ; {
					ids, next, err := list(p)
					require.NoError(t, err)
					require.LessOrEqual(t, len(ids), size)
					got = append(got, ids...)
					if next == "" {
						break
					}
					p.Before = next
				}
				require.Equal(t, whole, got, "pages of %d", size)
			}
			for _, bad := range []string{"x", "!", "AAAA", "MDEyMzQ1AHg"} {
				_, _, err := list(store.Paging{Before: bad})
				require.ErrorIs(t, err, store.ErrCursor, bad)
			}
		})
	}
}

func TestFiltersOfAlerts(t *testing.T) {
	s := seeded(t, 12)
	warning := alert.Warning
	for name, c := range map[string]struct {
		filter store.AlertFilter
		want   []int
	}{
		"rule":                     {store.AlertFilter{Rule: "rule 1"}, []int{10, 7, 4, 1}},
		"at least a priority":      {store.AlertFilter{AtLeast: &warning}, []int{11, 10, 9, 8, 4, 3, 2, 1, 0}},
		"node":                     {store.AlertFilter{Node: "node-1", Rule: "rule 0"}, []int{9, 3}},
		"namespace":                {store.AlertFilter{Namespace: "bank"}, nil},
		"whole container":          {store.AlertFilter{Container: fmt.Sprintf("%064x", 11)}, []int{11}},
		"beginning of a container": {store.AlertFilter{Container: fmt.Sprintf("%064x", 11)[:63]}, []int{11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}},
		"a pattern is no pattern":  {store.AlertFilter{Container: "%"}, nil},
		"since":                    {store.AlertFilter{Since: base.Add(10 * time.Second)}, []int{11, 10}},
	} {
		t.Run(name, func(t *testing.T) {
			rows, _, err := s.Alerts(t.Context(), store.Everything(), c.filter, store.Paging{})
			require.NoError(t, err)
			var want, got []string
			for _, i := range c.want {
				want = append(want, alertID(i))
			}
			for _, r := range rows {
				got = append(got, r.ID)
			}
			require.Equal(t, want, got)
		})
	}
}

func TestIDsMayBeGivenByTheirLastGroup(t *testing.T) {
	s := seeded(t, 2)
	for _, id := range []string{alertID(1), "a00000000001", "A00000000001"} {
		a, err := s.Alert(t.Context(), store.Everything(), id)
		require.NoError(t, err, id)
		require.Equal(t, alertID(1), a.ID)
	}
	_, err := s.Action(t.Context(), store.Everything(), "c00000000009")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = s.Action(t.Context(), store.Everything(), "c0000000000' OR true")
	require.ErrorIs(t, err, store.ErrID)
	_, err = s.Action(t.Context(), store.Everything(), "")
	require.ErrorIs(t, err, store.ErrNotFound)
	rows, _, err := s.Actions(t.Context(), store.Everything(), store.ActionFilter{Alert: "a00000000000"}, store.Paging{})
	require.NoError(t, err)
	require.Len(t, rows, 1)

	// Two whole ids with one ending.
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE actions SET id = '01950000-1111-7000-8000-c00000000000' WHERE id = $1`, actionID(1))
		return err
	}))
	_, err = s.Action(t.Context(), store.Everything(), "c00000000000")
	require.ErrorIs(t, err, store.ErrAmbiguous)
}

// A transaction that began first and commits last is what ids and times miss.
func TestChangesAreCompleteAndComeOnce(t *testing.T) {
	s := seeded(t, 3)
	before, err := s.Snapshot(t.Context())
	require.NoError(t, err)

	slow, err := s.Pool().Begin(t.Context())
	require.NoError(t, err)
	defer slow.Rollback(context.WithoutCancel(t.Context())) //nolint:errcheck // committed below
	require.NoError(t, insertPlain(t.Context(), store.Tx{Tx: slow}, 3))

	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error { return insertPlain(t.Context(), tx, 4) }))
	first, err := s.Changes(t.Context(), store.Everything(), before)
	require.NoError(t, err)
	require.Equal(t, []string{actionID(4)}, actionIDs(first), "only what is committed")

	require.NoError(t, slow.Commit(t.Context()))
	second, err := s.Changes(t.Context(), store.Everything(), first.Snapshot)
	require.NoError(t, err)
	require.Equal(t, []string{actionID(3)}, actionIDs(second), "the late one, and nothing twice")

	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
		for _, state := range []string{"executing", "succeeded"} {
			if _, err := tx.Exec(t.Context(), `UPDATE actions SET state = $1 WHERE id = $2`, state, actionID(0)); err != nil {
				return err
			}
		}
		return nil
	}))
	third, err := s.Changes(t.Context(), store.Everything(), second.Snapshot)
	require.NoError(t, err)
	require.Equal(t, []string{actionID(0)}, actionIDs(third))
	require.Equal(t, "succeeded", third.Actions[0].State)
	require.Empty(t, third.Alerts)

	last, err := s.Changes(t.Context(), store.Everything(), third.Snapshot)
	require.NoError(t, err)
	require.Empty(t, last.Actions)

	whole, err := s.Changes(t.Context(), store.Everything(), before)
	require.NoError(t, err)
	require.Len(t, whole.Actions, 3)
	require.Len(t, whole.Alerts, 2)
	require.False(t, whole.Incomplete)

	other, err := s.Changes(t.Context(), store.Everything(), "900000000:900000000:")
	require.NoError(t, err)
	require.True(t, other.Incomplete, "a snapshot from the future is another database's")
}

// insertPlain is add without the record, whose lock two transactions cannot share.
func insertPlain(ctx context.Context, tx store.Tx, i int) error {
	if _, err := tx.Exec(ctx, "INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, container_id, namespace, pod, pod_uid, binding, recorded, kernel_ns, alert_ns, received_ns, body) SELECT $1, incident_id, cluster, node, rule, priority, source, output, container_id, namespace, pod, pod_uid, binding, recorded, kernel_ns, alert_ns, received_ns, body FROM alerts WHERE id = $2", alertID(i), alertID(0)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO actions (id, decision_id, alert_id, cluster, node, type, target, effect_key, playbook, revision, mode, reason, state, planned_ns, expires_ns) "+
		"SELECT $1, decision_id, $2, cluster, node, type, target, $4, playbook, revision, mode, reason, state, planned_ns, expires_ns FROM actions WHERE id = $3",
		actionID(i), alertID(i), actionID(0), actionID(i))
	return err
}

func actionIDs(c store.Changes) (ids []string) {
	for _, a := range c.Actions {
		ids = append(ids, a.ID)
	}
	return ids
}

func FuzzParseSnapshot(f *testing.F) {
	for _, seed := range []string{"1:1:", "746:750:747,749", "", "5:4:", "1:2:3", "1:9:5,4", "::", "18446744073709551615:1:", "1:2:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := store.ParseSnapshot(s)
		if err == nil {
			require.Equal(t, store.Snapshot(s), got)
			require.LessOrEqual(t, len(s), 8<<10)
		}
	})
}
