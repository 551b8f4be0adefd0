// Package order is the contract from the responder back to one node: a signed
// Order to contain something, and the Receipt that answers it. Beside the orders
// stand what every node of a cluster keeps: Standing and Switch.
//
// An order goes over core NATS as a request on Subject and is repeated until a
// receipt comes or the order expires. The agent keeps the ids that it executed
// on disk and answers a repeat with the old receipt, so an order has at most one
// effect. The package uses the standard library alone.
package order

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"riposte/agent/alert"
)

// Kind is what to do with the target.
type Kind string

// Kinds of orders. Freeze and Cut are held under a lease: see Order.Lease.
const (
	// Kill ends every process of a container.
	Kill Kind = "kill"
	// KillProcess ends one process in a container.
	KillProcess Kind = "kill_process"
	// Freeze stops every process of a container where it is, Thaw lets them go on.
	Freeze Kind = "freeze"
	Thaw   Kind = "thaw"
	// Cut drops every packet of a container and of its network namespace, Reconnect
	// lets them pass again.
	Cut       Kind = "cut"
	Reconnect Kind = "reconnect"
)

// Held says whether the effect lasts as long as its lease.
func (k Kind) Held() bool { return k == Freeze || k == Cut }

// Lifts is the kind that a Thaw or Reconnect ends, empty for the others.
func (k Kind) Lifts() Kind {
	switch k {
	case Thaw:
		return Freeze
	case Reconnect:
		return Cut
	}
	return ""
}

// MaxLease bounds how far ahead a lease may end.
const MaxLease = 7 * 24 * time.Hour

// HoldStanding is the hold of an immediate containment, as Order.Of names it.
const HoldStanding = "standing"

// MaxBytes bounds one signed order's JSON.
const MaxBytes = 16 << 10

// Order is one containment to carry out on one node.
type Order struct {
	// ID is the action's id: a repeat of the order has the same one.
	ID      string `json:"id"`
	Kind    Kind   `json:"kind"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	Target  Target `json:"target"`
	Reason  string `json:"reason"`
	// Issued and Expires bound the time in which the order may be carried out.
	Issued  time.Time `json:"issued"`
	Expires time.Time `json:"expires"`
	// Lease is when a Freeze or Cut ends by itself, at most MaxLease ahead. A repeat of
	// the order with a later Lease renews it while it lasts, so that what is frozen or
	// cut off is released when the responder is away for longer than that.
	Lease time.Time `json:"lease,omitzero"`
	// Loopback lets a Cut's container go on talking to itself.
	Loopback bool `json:"loopback,omitempty"`
	// Of is the id of the order that a Thaw or Reconnect ends; HoldStanding for an
	// immediate containment, empty for whatever holds the container.
	Of string `json:"of,omitempty"`
}

// Target identifies one container's one life, and for KillProcess one process:
// all that is given must agree with what the node sees, else nothing is done.
type Target struct {
	ContainerID string `json:"container_id,omitempty"`
	// CgroupID is the inode of the container's cgroup v2 directory.
	CgroupID uint64 `json:"cgroup_id,omitempty"`
	// StartNS is alert.Container's StartNS.
	StartNS uint64 `json:"start_ns,omitempty"`
	// PID and ProcessNS are alert.Process's PID and StartNS. With them the container
	// may be left out: the process must be in some container all the same.
	PID       int32  `json:"pid,omitempty"`
	ProcessNS uint64 `json:"process_ns,omitempty"`
}

// Reasons why Open refuses; a caller branches on them to say so in the receipt.
var (
	ErrSignature = errors.New("the order's signature is not the responder's")
	ErrExpired   = errors.New("the order has expired")
	ErrNotMine   = errors.New("the order is for another node")
)

// Subject is where one node takes its orders.
func Subject(cluster, node string) string {
	return "orders." + alert.Token(cluster) + "." + alert.Token(node)
}

// Sign makes the message to send.
func Sign(key ed25519.PrivateKey, o Order) ([]byte, error) { return seal(domainOrder, key, o) }

// Open checks a message's signature, address and expiry, in this order, and
// returns the order. With ErrExpired and ErrNotMine the order is returned too.
func Open(key ed25519.PublicKey, message []byte, cluster, node string, now time.Time) (Order, error) {
	if len(message) > MaxBytes {
		return Order{}, fmt.Errorf("an order of %d bytes is over the limit of %d", len(message), MaxBytes)
	}
	o, err := unseal[Order](domainOrder, key, message)
	switch {
	case err != nil:
		return Order{}, err
	case o.Cluster != cluster || o.Node != node:
		return o, ErrNotMine
	case !now.Before(o.Expires):
		return o, ErrExpired
	}
	return o, nil
}
