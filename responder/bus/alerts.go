package bus

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// MaxBatch is how many messages are handed over at once, at most, and MaxBatchBytes
// how large they are together, but for the last one.
const (
	MaxBatch      = 256
	MaxBatchBytes = 4 << 20
)

// drainTime is how long the end of taking alerts waits for the broker.
const drainTime = time.Second

// buffered is how many messages wait in this process, so that the next batch is
// there when one is done.
const buffered = 2 * MaxBatch

// Message is one delivery of one alert. It must be answered with Ack, Nak or
// Term; without an answer it is delivered again.
type Message struct {
	msg      jetstream.Msg
	received time.Time
}

// Subject is where the message was published: the broker saw to it that only the
// node named there could.
func (m *Message) Subject() string { return m.msg.Subject() }

// ID is the publisher's message id, empty if it gave none.
func (m *Message) ID() string { return m.msg.Headers().Get(jetstream.MsgIDHeader) }

// Data is the payload.
func (m *Message) Data() []byte { return m.msg.Data() }

// ReceivedAt is when the message was taken from the connection.
func (m *Message) ReceivedAt() time.Time { return m.received }

// Ack says that the message was dealt with for good.
func (m *Message) Ack() error { return m.msg.Ack() }

// Nak asks for another delivery, not before delay has passed.
func (m *Message) Nak(delay time.Duration) error { return m.msg.NakWithDelay(delay) }

// Term gives the message up: it is not delivered again.
func (m *Message) Term(reason string) error { return m.msg.TermWithReason(reason) }

// Alerts hands the stream's messages to handle, in batches of what waits already,
// one batch at a time, until ctx ends; then it gives back what it holds and
// returns nil. It outlives every trouble of the broker.
func (b *Bus) Alerts(ctx context.Context, handle func(context.Context, []*Message)) error {
	for {
		err := b.consume(ctx, handle)
		if ctx.Err() != nil {
			return nil
		}
		b.errors.Add(1)
		b.Log.Warn("taking alerts was interrupted", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (b *Bus) consume(ctx context.Context, handle func(context.Context, []*Message)) error {
	consumer, err := b.consumer(ctx)
	if err != nil {
		return err
	}
	queue := make(chan *Message, buffered)
	stop := make(chan struct{})
	consuming, err := consumer.Consume(func(msg jetstream.Msg) {
		select {
		case <-stop: // the queue is read no more
			_ = msg.Nak()
			return
		default:
		}
		select {
		case queue <- &Message{msg: msg, received: time.Now()}:
		case <-stop:
			_ = msg.Nak()
		}
	}, jetstream.PullMaxMessages(buffered), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		b.errors.Add(1)
		b.Log.Debug("NATS consumer reports an error", "error", err)
	}))
	if err != nil {
		return err
	}
	defer func() {
		close(stop)
		consuming.Drain()
		select {
		case <-consuming.Closed():
		case <-time.After(drainTime): // the broker is away: what it has delivered it delivers again
		}
		for {
			select {
			case m := <-queue:
				_ = m.msg.Nak()
			default:
				flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				defer cancel()
				_ = b.nc.FlushWithContext(flush)
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-consuming.Closed():
			return errors.New("the consumer was closed")
		case first := <-queue:
			handle(ctx, waiting(first, queue))
		}
	}
}

// waiting takes what is there and waits for nothing.
func waiting(first *Message, queue <-chan *Message) []*Message {
	batch, size := []*Message{first}, len(first.Data())
	for len(batch) < MaxBatch && size < MaxBatchBytes {
		select {
		case m := <-queue:
			batch, size = append(batch, m), size+len(m.Data())
		default:
			return batch
		}
	}
	return batch
}
