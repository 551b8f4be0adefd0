package ingest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/publish"
	"riposte/responder/bus"
	"riposte/responder/ingest"
	"riposte/responder/ingest/watch"
	"riposte/responder/store/storetest"
)

// The agent's own spool and connection, more alerts than they can take: each number
// is stored or announced as dropped, and nothing is missing in the end.
func TestEveryNumberIsStoredOrAnnounced(t *testing.T) {
	t.Parallel()
	l := newLine(t, storetest.URL(t))
	node := l.agent()
	outbox, err := publish.OpenOutbox(publish.OutboxOptions{Bus: node, Dir: t.TempDir(), Cluster: "prod", Node: "n1", QueueBytes: 200 << 10})
	require.NoError(t, err)
	const all = 500
	for _, a := range alerts(1, all) {
		require.NoError(t, outbox.Put(a))
	}
	dropped := outbox.Lost()["publish_queue_full"]
	require.Positive(t, dropped)
	require.Less(t, dropped, uint64(all))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- outbox.Run(ctx) }()
	l.run(ingest.Batch[*bus.Message](l.in))

	w := watch.New(watch.Options{Store: l.store, Position: l.bus.Position})
	require.Eventually(t, func() bool {
		require.NoError(t, w.Look(t.Context()))
		return l.count("agent_runs WHERE complete = 500 AND gap_since IS NULL") == 1
	}, 2*time.Minute, 50*time.Millisecond)
	require.Zero(t, outbox.Waiting())
	var lost uint64
	require.NoError(t, l.store.Pool().QueryRow(t.Context(), "SELECT sum(count) FROM losses").Scan(&lost))
	require.Equal(t, dropped, lost)
	require.EqualValues(t, all-dropped, l.count("inbox"))
	require.Zero(t, l.count("incidents WHERE kind = 'gap'"))
	require.Equal(t, 1, l.count("audit WHERE kind = 'alert.lost'"))
	cancel()
	require.NoError(t, <-ended)
}
