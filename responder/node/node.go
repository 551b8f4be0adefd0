// Package node has what the actions that a node's agent carries out have in common:
// the order that is sent, the receipt that is read, and holds with their leases.
package node

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"riposte/agent/order"
	"riposte/responder/action"
)

// Orders sends a signed order to its node and returns the node's receipt. It
// repeats the order until a receipt comes or ctx ends.
type Orders interface {
	SendOrder(ctx context.Context, o order.Order) (order.Receipt, error)
}

// repeat is how often Verify asks the node again.
const repeat = 250 * time.Millisecond

// Agent is the other side, as an action of one kind sees it.
type Agent struct {
	Orders Orders
	Kind   order.Kind
	// Verb says what is done, as in "to freeze".
	Verb string
}

// runtimeID is what container runtimes name containers: 64 hexadecimal digits
// mostly, but systemd machines and sandboxes have names.
var runtimeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// CheckContainer demands a container's whole identity.
func CheckContainer(t action.Target) error {
	switch {
	case !runtimeID.MatchString(t.ContainerID):
		return fmt.Errorf("target.container_id: %.140q is no container id", t.ContainerID)
	case t.CgroupID == 0:
		return errors.New("target.cgroup_id: is missing; an id alone does not tell a container from its successor")
	case t.StartNS == 0:
		return errors.New("target.start_ns: is missing; an id alone does not tell a container from its successor")
	}
	return CheckNode(t)
}

// CheckNode demands the node that the order goes to.
func CheckNode(t action.Target) error {
	switch {
	case t.Cluster == "":
		return errors.New("target.cluster: is missing")
	case t.Node == "":
		return errors.New("target.node: is missing; only the target's own node can reach it")
	}
	return nil
}

// Send sends the request's order, changed as an action needs it. The order's id is
// the action's, so the node carries it out once, however often it is sent. An error
// is no *action.Error: the node may have had the order all the same.
func (a Agent) Send(ctx context.Context, r action.Request, change func(*order.Order)) (order.Receipt, error) {
	t := r.Target
	o := order.Order{
		ID: r.ID, Kind: a.Kind, Cluster: t.Cluster, Node: t.Node, Reason: r.Reason, Issued: time.Now(), Expires: r.Expires,
		Target: order.Target{ContainerID: t.ContainerID, CgroupID: t.CgroupID, StartNS: t.StartNS, PID: t.PID, ProcessNS: t.ProcessNS},
	}
	if change != nil {
		change(&o)
	}
	receipt, err := a.Orders.SendOrder(ctx, o)
	if err != nil {
		return receipt, fmt.Errorf("order node %s to %s %s: %w", t.Node, a.Verb, t, err)
	}
	if receipt.OrderID != o.ID {
		return receipt, fmt.Errorf("node %s answered order %s with the receipt of %.60q", t.Node, o.ID, receipt.OrderID)
	}
	return receipt, nil
}

// Read makes a Result of a receipt: done says what was done, gone what is so if
// nothing had to be. Other outcomes are an *action.Error.
func Read(r action.Request, receipt order.Receipt, done, gone string) (action.Result, error) {
	switch receipt.Outcome {
	case order.Done:
		if receipt.Repeated {
			done += ", at an earlier attempt"
		}
		return action.Result{Note: done, ExecutedAt: At(receipt.ExecutedNS), VerifiedAt: At(receipt.VerifiedNS)}, nil
	case order.Gone:
		// Nothing was caused; the wanted end is there, and the node saw it.
		seen := time.Now()
		if receipt.VerifiedNS != 0 {
			seen = At(receipt.VerifiedNS)
		}
		return action.Result{Note: gone + Because(receipt), ExecutedAt: seen, VerifiedAt: seen}, nil
	}
	return action.Result{}, fault(r, receipt)
}

func fault(r action.Request, receipt order.Receipt) error {
	switch receipt.Outcome {
	case order.Refused:
		return &action.Error{Kind: action.Refused, Err: fmt.Errorf("node %s refused%s", r.Target.Node, Because(receipt))}
	case order.Failed:
		return &action.Error{Kind: action.Retryable, Err: fmt.Errorf("node %s could not%s", r.Target.Node, Because(receipt))}
	}
	return &action.Error{
		Kind: action.Permanent, Err: fmt.Errorf("node %s answered with the unknown outcome %.40q: update the responder", r.Target.Node, receipt.Outcome),
	}
}

// Await sends the order again until its receipt says that the effect was seen. A
// repeat has no effect of its own: the node answers it with the receipt.
func (a Agent) Await(ctx context.Context, r action.Request, change func(*order.Order)) (time.Time, error) {
	for {
		receipt, err := a.Send(ctx, r, change)
		switch {
		case err != nil:
			return time.Time{}, err
		case receipt.Outcome == order.Gone:
			return time.Now(), nil
		case receipt.Outcome == order.Refused:
			return time.Time{}, fault(r, receipt)
		case receipt.LiftedNS != 0:
			return time.Time{}, &action.Error{
				Kind: action.Permanent, Err: fmt.Errorf("its lease on node %s ended at %s", r.Target.Node, At(receipt.LiftedNS).UTC().Format(time.RFC3339)),
			}
		case receipt.VerifiedNS != 0:
			return At(receipt.VerifiedNS), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("node %s does not report the effect%s: %w", r.Target.Node, Because(receipt), ctx.Err())
		case <-time.After(repeat):
		}
	}
}

// Because is a receipt's message behind a colon, empty if there is none.
func Because(r order.Receipt) string {
	if r.Message == "" {
		return ""
	}
	return ": " + r.Message
}

// At is the zero time for 0.
func At(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// Processes counts them in words.
func Processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return fmt.Sprintf("%d processes", n)
}
