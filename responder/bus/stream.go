package bus

import (
	"context"
	"errors"
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
	// duplicates is for how long the broker itself drops a repeated message; the inbox
	// does for as long as a message can come.
	duplicates = 2 * time.Minute
)

// redelivery is how long a delivered message may stay without any answer, at its
// first delivery, its second and so on. The first bounds how long the alerts that
// a killed responder held wait for the next one.
var redelivery = []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute}

// consumer makes the stream and its consumer, or brings them up to date.
func (b *Bus) consumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := b.stream(ctx); err != nil {
		return nil, fmt.Errorf("set up the stream %s: %w", alert.Stream, err)
	}
	c, err := b.js.CreateOrUpdateConsumer(ctx, alert.Stream, jetstream.ConsumerConfig{
		Durable:       durable,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       redelivery[0],
		BackOff:       redelivery,
		MaxDeliver:    -1, // the ingest gives up on a message, never the broker
		MaxAckPending: maxPending,
		Replicas:      b.StreamReplicas,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the consumer of the stream %s: %w", alert.Stream, err)
	}
	return c, nil
}

// stream makes the stream, or brings it up to date. Servers before 2.12 know no
// atomic batches and refuse a stream that asks for them.
func (b *Bus) stream(ctx context.Context) error {
	config := jetstream.StreamConfig{
		Name:               alert.Stream,
		Description:        "alerts of Riposte's agents, until a responder has stored them",
		Subjects:           []string{"alerts.>"},
		Storage:            jetstream.FileStorage,
		Retention:          jetstream.WorkQueuePolicy,
		Discard:            jetstream.DiscardNew,
		MaxBytes:           b.StreamBytes,
		MaxAge:             b.StreamAge,
		MaxMsgSize:         alert.MaxBytes + headerRoom,
		Duplicates:         duplicates,
		Replicas:           b.StreamReplicas,
		AllowAtomicPublish: true,
	}
	_, err := b.js.CreateOrUpdateStream(ctx, config)
	if answer := (*jetstream.APIError)(nil); errors.As(err, &answer) && oldServer(b.nc.ConnectedServerVersion()) {
		config.AllowAtomicPublish = false
		_, err = b.js.CreateOrUpdateStream(ctx, config)
	}
	return err
}

// oldServer says whether a version is before 2.12.
func oldServer(version string) bool {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return false
	}
	return major < 2 || major == 2 && minor < 12
}

// Position returns the number of the stream's last message, and up to which
// number all were dealt with.
func (b *Bus) Position(ctx context.Context) (last, done uint64, err error) {
	stream, err := b.js.Stream(ctx, alert.Stream)
	if err != nil {
		return 0, 0, fmt.Errorf("look at the stream %s: %w", alert.Stream, err)
	}
	last = stream.CachedInfo().State.LastSeq
	consumer, err := stream.Consumer(ctx, durable)
	if err != nil {
		return 0, 0, fmt.Errorf("look at the consumer of the stream %s: %w", alert.Stream, err)
	}
	info := consumer.CachedInfo()
	if info.NumPending == 0 && info.NumAckPending == 0 {
		return last, max(last, info.AckFloor.Stream), nil
	}
	return last, info.AckFloor.Stream, nil
}

// Backlog is how many messages of the stream wait for a responder, and how many one
// has taken and not yet answered.
func (b *Bus) Backlog(ctx context.Context) (waiting, unanswered uint64, err error) {
	consumer, err := b.js.Consumer(ctx, alert.Stream, durable)
	if err != nil {
		return 0, 0, fmt.Errorf("look at the consumer of the stream %s: %w", alert.Stream, err)
	}
	info := consumer.CachedInfo()
	return info.NumPending, uint64(info.NumAckPending), nil
}
