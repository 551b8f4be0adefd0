package node

import (
	"context"
	"fmt"
	"time"

	"riposte/agent/order"
	"riposte/responder/action"
)

// DefaultLease is how long a hold lasts that nobody renews or lifts.
const DefaultLease = time.Hour

// minLease leaves time to renew.
const minLease = 10 * time.Second

// ReadLease reads the parameter, whose default is DefaultLease, and refuses what no
// agent would take.
func ReadLease(text string) (time.Duration, error) {
	if text == "" {
		return DefaultLease, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("params.lease: %w", err)
	}
	if d < minLease || d > order.MaxLease {
		return 0, fmt.Errorf("params.lease: %s is not from %s to %s", d, minLease, order.MaxLease)
	}
	return d, nil
}

// LeaseParam describes the parameter.
func LeaseParam() action.Param {
	return action.Param{
		Name: "lease", Type: "duration", Default: "1h",
		Desc: "After this the node itself lifts it, unless it was renewed: nothing stays so because the responder is away. From 10s to 168h.",
	}
}

// Hold is a container that a node holds for the time of a lease.
type Hold struct {
	Agent
	// Lift is the kind of order that ends it, Held what the container is meanwhile.
	Lift order.Kind
	Held string
}

func leased(lease time.Duration, loopback bool) func(*order.Order) {
	return func(o *order.Order) {
		o.Lease, o.Loopback = o.Issued.Add(lease), loopback
	}
}

// Begin sends the order. To send it again renews the lease.
func (h Hold) Begin(ctx context.Context, r action.Request, lease time.Duration, loopback bool) (action.Result, error) {
	receipt, err := h.Send(ctx, r, leased(lease, loopback))
	if err != nil {
		return action.Result{}, err
	}
	if receipt.LiftedNS != 0 {
		return action.Result{}, &action.Error{
			Kind: action.Permanent, Err: fmt.Errorf("its lease on node %s ended at %s: decide anew", r.Target.Node, At(receipt.LiftedNS).UTC().Format(time.RFC3339)),
		}
	}
	done := fmt.Sprintf("%s %s until %s%s", Processes(receipt.Processes), h.Held, At(receipt.UntilNS).UTC().Format(time.RFC3339), Because(receipt))
	return Read(r, receipt, done, "the container was gone already")
}

// Seen waits until the node sees the effect.
func (h Hold) Seen(ctx context.Context, r action.Request, lease time.Duration, loopback bool) (time.Time, error) {
	return h.Await(ctx, r, leased(lease, loopback))
}

// Undo lifts what this very action holds. What another one holds stays, and the note
// says so.
func (h Hold) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	back := h
	back.Kind, back.Verb = h.Lift, string(h.Lift)
	receipt, err := back.Send(ctx, r, func(o *order.Order) {
		o.ID, o.Of = r.ID+"/lift", r.ID
		// The action itself may have expired long ago.
		if soon := o.Issued.Add(liftTime); o.Expires.Before(soon) {
			o.Expires = soon
		}
	})
	if err != nil {
		return action.Result{}, err
	}
	note := "lifted"
	if receipt.Dropped > 0 {
		note += fmt.Sprintf(" after %d dropped packets", receipt.Dropped)
	}
	return Read(r, receipt, note+Because(receipt), "nothing was left to lift")
}

// liftTime bounds how long an order to lift is repeated.
const liftTime = 5 * time.Minute

// Preview says what would happen: there is no object to show a difference of.
func (h Hold) Preview(r action.Request, lease time.Duration) string {
	return fmt.Sprintf("Every process of %s would be %s for %s, unless it is lifted before.", r.Target, h.Held, lease)
}
