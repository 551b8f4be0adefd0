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
	none, err := place.Newest(t.Context())
	require.NoError(t, err)
	require.Empty(t, none)
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
	newest, err := b.bus().Checkpoints().Newest(t.Context())
	require.NoError(t, err)
	require.Len(t, newest, 2)
	require.Equal(t, two, newest[0])
	require.Equal(t, "other", newest[1].Cluster)
	all, err := b.bus().Checkpoints().All(t.Context(), "eu.west 1")
	require.NoError(t, err)
	require.Equal(t, []audit.Point{one, two}, all)
	all, err = b.bus().Checkpoints().All(t.Context(), "nobody's")
	require.NoError(t, err)
	require.Empty(t, all)

	stream, err := b.observer(t).Stream(t.Context(), bus.AuditStream)
	require.NoError(t, err)
	require.EqualValues(t, 3, stream.CachedInfo().State.Msgs)
	require.Equal(t, jetstream.FileStorage, stream.CachedInfo().Config.Storage)
	require.True(t, stream.CachedInfo().Config.DenyDelete && stream.CachedInfo().Config.DenyPurge, "%+v", stream.CachedInfo().Config)
}
