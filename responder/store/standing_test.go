package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestStanding(t *testing.T) {
	s := storetest.New(t)
	_, err := s.Pool().Exec(t.Context(), "SELECT record_month('alerts', '2025-02-01')") // of the fixture's ids
	require.NoError(t, err)
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
		for i := range 6 {
			if err := apitest.AddTo(t.Context(), tx, i, "shop", "shop"); err != nil {
				return err
			}
		}
		for i, state := range []string{"failed", "unknown", "waiting", "planned", "failed"} {
			if _, err := tx.Exec(t.Context(), `UPDATE actions SET state = $2, verified_ns = NULL WHERE id = $1`, apitest.ActionID(i), state); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(t.Context(), `UPDATE actions SET lift_ns = 1 WHERE id = $1`, apitest.ActionID(5)); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), `UPDATE incidents SET state = 'contained', priority = 4 WHERE id = $1`, apitest.IncidentID(1)); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), `UPDATE incidents SET state = 'resolved' WHERE id = $1`, apitest.IncidentID(2)); err != nil {
			return err
		}
		if _, err := tx.Exec(t.Context(), `UPDATE actions SET namespace = 'cart' WHERE id = $1`, apitest.ActionID(0)); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `UPDATE alerts SET namespace = 'cart' WHERE id = $1`, apitest.AlertID(0))
		return err
	}))
	// Number 4 failed, but number 0 did so before the time that is asked about.
	got, err := s.Standing(t.Context(), store.Everything(), time.Now(), apitest.Base.Add(500*time.Millisecond))
	require.NoError(t, err)
	require.Equal(t, []store.IncidentCount{{State: "open", Priority: 2, Count: 4}, {State: "contained", Priority: 4, Count: 1}}, got.Incidents)
	require.Equal(t, [4]int64{1, 1, 1, 1}, [4]int64{got.Waiting, got.Failed, got.Unknown, got.LiftsLate})
	require.Equal(t, apitest.Base.Add(3*time.Second+6*time.Millisecond).UnixNano(), got.OldestPlannedNS)
	require.Len(t, got.Chains, 1)
	require.EqualValues(t, 12, got.Chains[0].Seq)
	require.Zero(t, got.Chains[0].SignedSeq)
	require.NotZero(t, got.Chains[0].UnsignedNS)

	// Who sees one namespace is told of that alone, and of no chain.
	cart := store.Scope{{Namespaces: []string{"cart"}}}
	got, err = s.Standing(t.Context(), cart, time.Now(), apitest.Base)
	require.NoError(t, err)
	require.Equal(t, store.Standing{Failed: 1, Incidents: []store.IncidentCount{{State: "open", Priority: 2, Count: 1}}, Chains: []store.ChainHead{}}, got)
	got, err = s.Standing(t.Context(), store.Scope{}, time.Now(), apitest.Base)
	require.NoError(t, err)
	require.Equal(t, store.Standing{Incidents: []store.IncidentCount{}, Chains: []store.ChainHead{}}, got)
}
