package bus_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"riposte/responder/audit"
	"riposte/responder/bus"
)

func TestTheStreamKeepsCheckpoints(t *testing.T) {
	b := start(t)
	place := b.bus().Checkpoints()
	last, err := place.Last(t.Context(), "eu.west 1")
	require.NoError(t, err)
	require.Nil(t, last)
	one := audit.Point{Cluster: "eu.west 1", Seq: 7, Kind: audit.PointCheckpoint, Hash: make([]byte, 32), Signature: []byte{1}}
	two := one
	two.Seq = 9
	for _, p := range []audit.Point{one, two, two} { // another replica puts the same one
		require.NoError(t, place.Put(t.Context(), p))
	}
	require.NoError(t, place.Put(t.Context(), audit.Point{Cluster: "other", Seq: 1}))
	last, err = b.bus().Checkpoints().Last(t.Context(), "eu.west 1")
	require.NoError(t, err)
	require.Equal(t, &two, last)

	stream, err := b.observer(t).Stream(t.Context(), bus.AuditStream)
	require.NoError(t, err)
	require.EqualValues(t, 3, stream.CachedInfo().State.Msgs)
	require.Equal(t, jetstream.FileStorage, stream.CachedInfo().Config.Storage)
	require.True(t, stream.CachedInfo().Config.DenyDelete && stream.CachedInfo().Config.DenyPurge, "%+v", stream.CachedInfo().Config)
}
