package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"riposte/agent/order"
)

// ErrNoReceipt says that an order expired, or the caller gave up, without a
// receipt: the node may or may not have carried it out.
var ErrNoReceipt = errors.New("no receipt")

// An order is repeated after firstRepeat, then twice as late each time.
const (
	firstRepeat = 250 * time.Millisecond
	lastRepeat  = 2 * time.Second
	maxReceipt  = 16 << 10
)

// SendOrder signs an order, sends it to its node and repeats it until the node's
// receipt comes, the order expires or ctx ends. A node that does not answer yet
// is no error: its agent may be starting.
func (b *Bus) SendOrder(ctx context.Context, o order.Order) (order.Receipt, error) {
	ctx, cancel := context.WithDeadline(ctx, o.Expires)
	defer cancel()
	message, err := order.Sign(b.OrderKey, o)
	if err != nil {
		return order.Receipt{}, fmt.Errorf("sign order %s: %w", o.ID, err)
	}
	if len(message) > order.MaxBytes {
		return order.Receipt{}, fmt.Errorf("order %s has %d bytes, %d are allowed", o.ID, len(message), order.MaxBytes)
	}
	subject := order.Subject(o.Cluster, o.Node)
	// One inbox for all repeats, with a name that nobody can guess: the receipt of
	// the first may come after the second was sent.
	inbox := b.nc.NewInbox()
	replies, err := b.nc.SubscribeSync(inbox)
	if err != nil {
		return order.Receipt{}, fmt.Errorf("await the receipt of order %s: %w", o.ID, err)
	}
	defer func() { _ = replies.Unsubscribe() }()

	cause := "the node has not answered"
	for wait := firstRepeat; ; wait = min(2*wait, lastRepeat) {
		if err := b.nc.PublishRequest(subject, inbox, message); err != nil {
			cause = err.Error()
		}
		receipt, why := b.receipt(ctx, replies, o.ID, wait)
		if why == "" {
			return receipt, nil
		}
		if ctx.Err() != nil {
			return order.Receipt{}, fmt.Errorf("order %s on %s: %w: %s", o.ID, subject, ErrNoReceipt, cause)
		}
		cause = why
		b.ordersRepeated.Add(1)
	}
}

// receipt waits for this order's receipt until it is time to repeat; why says
// what came instead.
func (b *Bus) receipt(ctx context.Context, replies *nats.Subscription, id string, wait time.Duration) (r order.Receipt, why string) {
	turn, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	why = "the node has not answered"
	for {
		m, err := replies.NextMsgWithContext(turn)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			why = "no agent listens there"
			<-turn.Done()
			return r, why
		case err != nil && turn.Err() == nil: // the connection or subscription is gone
			why = err.Error()
			<-turn.Done()
			return r, why
		case err != nil:
			return r, why
		}
		if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
			why = "no agent listens there"
			<-turn.Done()
			return r, why
		}
		if r, err = readReceipt(m.Data, id); err == nil {
			return r, ""
		}
		b.receiptsBad.Add(1)
		why = err.Error()
	}
}

// readReceipt takes only what is certainly the answer to this order.
func readReceipt(data []byte, id string) (order.Receipt, error) {
	if len(data) > maxReceipt {
		return order.Receipt{}, fmt.Errorf("a receipt of %d bytes came, %d are allowed", len(data), maxReceipt)
	}
	var r order.Receipt
	if err := json.Unmarshal(data, &r); err != nil {
		return order.Receipt{}, fmt.Errorf("a receipt came that is no JSON: %w", err)
	}
	if r.OrderID != id {
		return order.Receipt{}, fmt.Errorf("a receipt came for order %q", r.OrderID)
	}
	switch r.Outcome {
	case order.Done, order.Gone, order.Refused, order.Failed:
		return r, nil
	}
	return order.Receipt{}, fmt.Errorf("a receipt came with the outcome %q", r.Outcome)
}
