package ingest_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/responder/ingest"
)

// Once the inbox has forgotten a message, whoever kept it can send it again. Nothing is
// stored or done a second time: in its own incident it is one more of the same, and
// later its id is still taken. A node's key can always make new alerts; an old one
// with a new id is one of these, and its effect on the same container still the first.
func TestReplayAfterTheInboxWasPruned(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *ingest.Options) { o.Tries = 2 })
	old := anAlert(1)
	b.handle(deliver(t, old))
	forget := func() {
		n, err := b.Store.PruneInbox(t.Context(), time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.Positive(t, n)
	}
	once := func() {
		require.Equal(t, 1, b.count("alerts"))
		require.Equal(t, 1, b.count("actions"))
	}
	once()
	forget()
	again := deliver(t, old)
	b.handle(again)
	require.Equal(t, 1, again.acks)
	once()

	forget()
	_, err := b.Store.EndIdleIncidents(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	late := deliver(t, old)
	b.handle(late)
	b.handle(late)
	require.Len(t, late.terms, 1, "it does not come for ever")
	require.Equal(t, []string{"unstorable"}, b.texts("SELECT reason FROM dead_letters"))
	once()

	renamed := *old
	renamed.UUID = uuid.Must(uuid.NewV7()).String()
	b.handle(deliver(t, &renamed))
	require.Equal(t, 1, b.count("actions"))
}
