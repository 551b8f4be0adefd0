package guard_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/store/storetest"
)

// Each replica gets a file of its own, so that the switch holds when the database
// goes away afterwards.
func TestSwitchesReachEveryReplica(t *testing.T) {
	d := newDesk(t)
	other := deskOn(t, d.store)
	require.NoError(t, d.Turn(t.Context(), guard.Switch{On: true, Actor: "user:jane", Reason: "so"}))
	require.NoError(t, other.Refresh(t.Context()))
	require.FileExists(t, other.file)
	require.Equal(t, d.KillSwitch().ID, other.KillSwitch().ID)
	require.NoError(t, d.Turn(t.Context(), guard.Switch{Actor: "user:jane"}))
	require.NoError(t, other.Refresh(t.Context()))
	require.NoFileExists(t, other.file)
	require.Equal(t, "on off", d.text(`SELECT string_agg(result, ' ' ORDER BY seq) FROM audit WHERE kind = 'killswitch'`))
}

// A file made by hand is its replica's own: nobody else turns it off.
func TestSwitchMadeByHand(t *testing.T) {
	d := newDesk(t)
	other := deskOn(t, d.store)
	require.NoError(t, os.WriteFile(d.file, nil, 0o600))
	require.NoError(t, d.Refresh(t.Context()))
	require.NoError(t, other.Turn(t.Context(), guard.Switch{Actor: "user:jane"}))
	require.NoError(t, d.Refresh(t.Context()))
	require.True(t, d.KillSwitch().On)
	require.False(t, other.KillSwitch().On)
	require.NoError(t, d.Turn(t.Context(), guard.Switch{Actor: "user:jane"}), "but by its own replica it can be")
	require.False(t, d.KillSwitch().On)
}

// Turned on while the database is away: it holds at once, and the record
// and the other replicas learn of it later.
func TestSwitchWhileTheDatabaseIsAway(t *testing.T) {
	now := time.Now()
	s := storetest.New(t)
	d := deskOn(t, s, func(o *guard.Options) { o.Now = func() time.Time { return now } })
	require.NoError(t, d.Open(t.Context(), guard.Parts{Store: s, Home: "c", Actions: registry, Cluster: d.cluster, Enqueue: execute.Enqueue}))
	away, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, d.Turn(away, guard.Switch{On: true, Actor: "user:jane", Reason: "so"}), guard.ErrNotRecorded)
	require.Equal(t, "kill-switch", d.Judge(t.Context(), about(1)).Rule)
	require.Equal(t, "0", d.text(`SELECT count(*)::text FROM audit`))

	require.NoError(t, d.Refresh(t.Context()))
	require.Equal(t, "0", d.text(`SELECT count(*)::text FROM audit`), "whoever turned it may still be about to record it")
	now = now.Add(time.Minute)
	require.NoError(t, d.Refresh(t.Context()))
	require.NoError(t, d.Refresh(t.Context()))
	require.Equal(t, "on user:jane", d.text(`SELECT string_agg(result || ' ' || actor, ',') FROM audit`), "once")
	other := deskOn(t, s)
	require.True(t, other.KillSwitch().On)

	require.ErrorIs(t, d.Turn(away, guard.Switch{Actor: "user:jane"}), context.Canceled, "off is recorded first")
	require.True(t, d.KillSwitch().On)
	require.NoError(t, d.Turn(t.Context(), guard.Switch{Actor: "user:jane"}))
	require.False(t, d.KillSwitch().On)
}
