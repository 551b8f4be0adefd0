package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"riposte/agent/alert"
)

const (
	// durable is the one consumer that all responders share: each message goes to
	// one of them.
	durable = "responder"
	// headerRoom is what a message may have beside the alert.
	headerRoom = 4 << 10
	// maxPending bounds the messages that are delivered and not yet acknowledged.
	maxPending = 1024
)

// redelivery is how long a delivered message may stay without any answer, at its
// first delivery, its second and so on. The first bounds how long the alerts that
// a killed responder held wait for the next one.
var redelivery = []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute}

// consumer makes the stream and its consumer, or brings them up to date.
func (b *Bus) consumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:        alert.Stream,
		Description: "alerts of Riposte's agents, until a responder has stored them",
		Subjects:    []string{"alerts.>"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.WorkQueuePolicy,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    b.StreamBytes,
		MaxAge:      b.StreamAge,
		MaxMsgSize:  alert.MaxBytes + headerRoom,
		Duplicates:  2 * time.Minute,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the stream %s: %w", alert.Stream, err)
	}
	c, err := b.js.CreateOrUpdateConsumer(ctx, alert.Stream, jetstream.ConsumerConfig{
		Durable:       durable,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       redelivery[0],
		BackOff:       redelivery,
		MaxDeliver:    -1, // the ingest gives up on a message, never the broker
		MaxAckPending: maxPending,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the consumer of the stream %s: %w", alert.Stream, err)
	}
	return c, nil
}
