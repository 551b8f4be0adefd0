package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestRevisionsAreKeptWhileSeen(t *testing.T) {
	s := storetest.New(t)
	now := time.Now()
	keep := func(at time.Time, all ...store.Revision) {
		require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error { return tx.KeepRevisions(t.Context(), all, at) }))
	}
	one, two := store.Revision{Revision: "1", Playbook: "p", Kept: `{"files":[]}`}, store.Revision{Revision: "2", Playbook: "p", Kept: "{}"}
	keep(now.Add(-48*time.Hour), one, two)
	keep(now.Add(-47*time.Hour), two)
	got, err := s.Revision(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, one, got)

	require.NoError(t, s.PruneRevisions(t.Context(), []string{"1"}, now, now.Add(-24*time.Hour)))
	_, err = s.Revision(t.Context(), "1")
	require.NoError(t, err, "it is loaded")
	_, err = s.Revision(t.Context(), "2")
	require.ErrorIs(t, err, store.ErrNotFound)
}
