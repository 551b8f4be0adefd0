package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// heartbeatsWaiting bounds the heartbeats that wait to be looked at; more are dropped
	// and counted, since the next one says the same.
	heartbeatsWaiting = 1024
	// heartbeatsEvery is how long heartbeats are gathered: of thousands of nodes hundreds
	// come in a second, and each write of its own would be a commit.
	heartbeatsEvery = 250 * time.Millisecond
)

// Heartbeats hands over what nodes say, each node's latest by its subject, gathered for
// a moment, until ctx ends; then it returns nil. One handle runs at a time, and what
// comes meanwhile is gathered too. The broker sees to it that a node can only use its
// own subject, so that there are never more of them than nodes.
func (b *Bus) Heartbeats(ctx context.Context, handle func(ctx context.Context, said map[string][]byte)) error {
	queue := make(chan *nats.Msg, heartbeatsWaiting)
	sub, err := b.nc.ChanSubscribe("agents.*.*", queue)
	if err != nil {
		return fmt.Errorf("hear heartbeats: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	b.hearing.Store(time.Now().UnixNano())
	defer b.hearing.Store(0)
	batches := make(chan map[string][]byte)
	handled := make(chan struct{})
	go func() {
		defer close(handled)
		for said := range batches {
			handle(ctx, said)
		}
	}()
	defer func() { close(batches); <-handled }()
	tick := time.NewTicker(heartbeatsEvery)
	defer tick.Stop()
	said := map[string][]byte{}
	var next chan<- map[string][]byte // nil until it is time to hand over
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-queue:
			said[m.Subject] = m.Data
		case <-tick.C:
			if len(said) > 0 {
				next = batches
			}
		case next <- said:
			said, next = map[string][]byte{}, nil
		}
	}
}

// Hearing is since when every heartbeat is heard, zero if they are not now. A
// node's silence before that says nothing.
func (b *Bus) Hearing() time.Time {
	ns := b.hearing.Load()
	if ns == 0 || !b.nc.IsConnected() {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
