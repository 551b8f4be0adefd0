// Package bus is the responder's connection to NATS: it takes alerts from the
// stream, hears heartbeats and sends orders to nodes.
//
// The stream is a work queue. A message stays until a responder acknowledges it,
// and when the stream is full it takes no new ones, so that the agents keep
// theirs on disk: nothing that waits is ever thrown away for something newer.
package bus

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"riposte/agent/alert"
)

// Options says where to connect and as whom.
type Options struct {
	// URL is the server's, for instance "nats://127.0.0.1:4222"; several are parted by commas.
	URL string
	// Seed is the responder's nkey seed.
	Seed []byte
	// OrderKey signs orders. The agents know its public half.
	OrderKey ed25519.PrivateKey
	// StreamBytes bounds the stream of alerts, 1 GiB if 0.
	StreamBytes int64
	// StreamReplicas is on how many servers the stream is kept, 1 if 0.
	StreamReplicas int
	// StreamAge is how long an alert waits for a responder at most, 7 days if 0.
	// The inbox must remember for longer than this.
	StreamAge time.Duration
	Log       *slog.Logger
}

// Defaults of Options.
const (
	defaultStreamBytes = 1 << 30
	DefaultStreamAge   = 7 * 24 * time.Hour
)

// Bus is one connection, shared by all goroutines.
type Bus struct {
	Options
	nc *nats.Conn
	js jetstream.JetStream
	// hearing is since when heartbeats are heard without a break, Unix nanoseconds, 0: not now.
	hearing atomic.Int64
	// counters, see Counts
	reconnects, receiptsBad, ordersRepeated, heartbeatsDropped, announcesFailed, clustersOver, errors atomic.Uint64
	// admissions are agents that were let in; see Admit
	admissions, admissionsRefused, admissionsFailed, admissionsDropped atomic.Uint64
}

// Connect connects once, with an error that says what is wrong, and from then on
// reconnects by itself for ever.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	if o.StreamBytes == 0 {
		o.StreamBytes = defaultStreamBytes
	}
	if o.StreamAge == 0 {
		o.StreamAge = DefaultStreamAge
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(o.OrderKey) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("the key that signs orders has %d bytes, an Ed25519 private key has %d", len(o.OrderKey), ed25519.PrivateKeySize)
	}
	pair, err := nkeys.FromSeed(o.Seed)
	if err != nil {
		return nil, fmt.Errorf("the responder's NATS seed: %w", err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("the responder's NATS seed: %w", err)
	}
	b := &Bus{Options: o}
	b.nc, err = nats.Connect(o.URL,
		nats.Name("riposte responder"), nats.Nkey(public, pair.Sign), nats.CustomInboxPrefix(alert.ResponderInboxPrefix),
		nats.Timeout(5*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(250*time.Millisecond), nats.ReconnectJitter(250*time.Millisecond, time.Second),
		nats.ReconnectHandler(func(*nats.Conn) {
			b.reconnects.Add(1)
			b.hearing.Store(time.Now().UnixNano())
			o.Log.Info("connected to NATS again")
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.hearing.Store(0)
			if err != nil {
				o.Log.Warn("the connection to NATS broke", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			if s != nil && errors.Is(err, nats.ErrSlowConsumer) { // of those with a bound of their own
				if s.Subject == AdmissionSubject {
					b.admissionsDropped.Add(1)
				} else {
					b.heartbeatsDropped.Add(1)
				}
			}
			b.errors.Add(1)
			o.Log.Warn("NATS reports an error", "error", err)
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", o.URL, err)
	}
	if b.js, err = jetstream.New(b.nc); err != nil {
		b.nc.Close()
		return nil, err
	}
	// The stream must be there before an agent publishes its first alert.
	if _, err := b.consumer(ctx); err != nil {
		b.nc.Close()
		return nil, err
	}
	return b, nil
}

// Close ends the connection. Alerts and Heartbeats must have returned.
func (b *Bus) Close() { b.nc.Close() }

// Connected says whether the server can be reached at the moment.
func (b *Bus) Connected() bool { return b.nc.IsConnected() }

// Counts are this process's counters by name.
func (b *Bus) Counts() map[string]uint64 {
	return map[string]uint64{
		"reconnects":         b.reconnects.Load(),
		"receipts_bad":       b.receiptsBad.Load(),
		"orders_repeated":    b.ordersRepeated.Load(),
		"heartbeats_dropped": b.heartbeatsDropped.Load(),
		"announces_failed":   b.announcesFailed.Load(),
		"clusters_over":      b.clustersOver.Load(),
		"errors":             b.errors.Load(),
		"admissions":         b.admissions.Load(),
		"admissions_refused": b.admissionsRefused.Load(),
		"admissions_failed":  b.admissionsFailed.Load(),
		"admissions_dropped": b.admissionsDropped.Load(),
	}
}
