package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"riposte/agent/alert"
)

// maxPending bounds the messages without an acknowledgement. The spool's window is
// far below it; what the server never answers counts until it is out of time.
const maxPending = 4096

var errBusy = errors.New("the bus has too many messages without an acknowledgement")

// Publish hands one alert to JetStream and does not wait. After a nil error done
// is called once: with nil when the stream has stored the alert, or with the
// reason why it may not have. The id keeps a repeat from being stored twice.
func (c *Conn) Publish(subject, id string, body []byte, done func(error)) error {
	if !c.nc.IsConnected() {
		return nats.ErrDisconnected
	}
	// Beyond its limit the client would wait for the server, and then say "stalled".
	if c.js.PublishAsyncPending() >= maxPending-1 {
		return errBusy
	}
	m := &nats.Msg{Subject: subject, Data: body, Header: header(body)}
	c.mu.Lock()
	c.done[m] = done
	c.mu.Unlock()
	_, err := c.js.PublishMsgAsync(m, jetstream.WithMsgID(id), jetstream.WithExpectStream(alert.Stream), jetstream.WithRetryAttempts(0))
	if err != nil {
		c.mu.Lock()
		delete(c.done, m)
		c.mu.Unlock()
		return fmt.Errorf("publish on %s: %w", subject, err)
	}
	return nil
}

// header names the alert's trace, for whoever else reads the stream.
func header(body []byte) nats.Header {
	h := nats.Header{}
	if trace := alert.TraceParent(body); trace != "" {
		h.Set(alert.HeaderTrace, trace)
	}
	return h
}

// settle runs on the connection's goroutines and must not wait.
func (c *Conn) settle(m *nats.Msg, err error) {
	c.mu.Lock()
	done := c.done[m]
	delete(c.done, m)
	c.mu.Unlock()
	if done != nil {
		done(err)
	}
}

// Heartbeat says every so often that this node lives, at once and at each return
// of the connection too, until ctx ends. While the bus is away a beat is left out.
func (c *Conn) Heartbeat(ctx context.Context, every time.Duration, now func() alert.Heartbeat) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if c.nc.IsConnected() {
			body, err := json.Marshal(now())
			if err != nil {
				return fmt.Errorf("encode the heartbeat: %w", err)
			}
			if err := c.nc.Publish(alert.HeartbeatSubject(c.opt.Cluster, c.opt.Node), body); err != nil {
				c.opt.Log.Debug("a heartbeat was not sent", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.beat:
		}
	}
}
