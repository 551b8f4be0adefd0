package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// heartbeatsWaiting bounds the heartbeats that wait for a slow handler; more are
// dropped and counted, since the next one says the same.
const heartbeatsWaiting = 1024

// Heartbeats hands each heartbeat's subject and payload to handle, one at a time,
// until ctx ends; then it returns nil. The broker sees to it that a node can only
// use its own subject.
func (b *Bus) Heartbeats(ctx context.Context, handle func(ctx context.Context, subject string, data []byte)) error {
	queue := make(chan *nats.Msg, heartbeatsWaiting)
	sub, err := b.nc.ChanSubscribe("agents.*.*", queue)
	if err != nil {
		return fmt.Errorf("hear heartbeats: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	b.hearing.Store(time.Now().UnixNano())
	defer b.hearing.Store(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-queue:
			handle(ctx, m.Subject, m.Data)
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
