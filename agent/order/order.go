// Package order is the contract from the responder back to one node: a signed
// Order to contain something, and the Receipt that answers it.
//
// An order goes over core NATS as a request on Subject and is repeated until a
// receipt comes or the order expires. The agent keeps the ids that it executed
// on disk and answers a repeat with the old receipt, so an order has at most one
// effect. The package uses the standard library alone.
package order

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"riposte/agent/alert"
)

// Kind is what to do with the target.
type Kind string

// Kill ends every process of a container.
const Kill Kind = "kill"

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
}

// Target identifies one container's one life: all three must agree with what
// the node sees, else nothing is done.
type Target struct {
	ContainerID string `json:"container_id"`
	// CgroupID is the inode of the container's cgroup v2 directory.
	CgroupID uint64 `json:"cgroup_id"`
	// StartNS is alert.Container's StartNS.
	StartNS uint64 `json:"start_ns"`
}

// Signed is an order as it travels: the exact bytes and the responder's
// Ed25519 signature over a domain tag and them.
type Signed struct {
	Order     json.RawMessage `json:"order"`
	Signature []byte          `json:"signature"`
}

// domain keeps a signature over an order from passing for one over anything else.
const domain = "riposte/order/1\n"

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
func Sign(key ed25519.PrivateKey, o Order) ([]byte, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	return json.Marshal(Signed{Order: body, Signature: ed25519.Sign(key, append([]byte(domain), body...))})
}

// Open checks a message's signature, address and expiry, in this order, and
// returns the order. With ErrExpired and ErrNotMine the order is returned too.
func Open(key ed25519.PublicKey, message []byte, cluster, node string, now time.Time) (Order, error) {
	if len(message) > MaxBytes {
		return Order{}, fmt.Errorf("an order of %d bytes is over the limit of %d", len(message), MaxBytes)
	}
	var s Signed
	if err := json.Unmarshal(message, &s); err != nil {
		return Order{}, fmt.Errorf("decode the order's envelope: %w", err)
	}
	if !ed25519.Verify(key, append([]byte(domain), s.Order...), s.Signature) {
		return Order{}, ErrSignature
	}
	var o Order
	if err := json.Unmarshal(s.Order, &o); err != nil {
		return Order{}, fmt.Errorf("decode the order: %w", err)
	}
	switch {
	case o.Cluster != cluster || o.Node != node:
		return o, ErrNotMine
	case !now.Before(o.Expires):
		return o, ErrExpired
	}
	return o, nil
}

// Outcome is what became of an order.
type Outcome string

// Outcomes of an order.
const (
	// Done: the effect was caused by this order.
	Done Outcome = "done"
	// Gone: the target no longer exists, or another stands in its place; nothing was done.
	Gone Outcome = "gone"
	// Refused: the agent would not (signature, expiry, address, protected target).
	Refused Outcome = "refused"
	// Failed: it was tried and did not work; Message says why.
	Failed Outcome = "failed"
)

// Receipt is the agent's answer.
type Receipt struct {
	OrderID string  `json:"order_id"`
	Outcome Outcome `json:"outcome"`
	Message string  `json:"message,omitempty"`
	// ExecutedNS is when the kernel had taken the effect's request, Unix nanoseconds.
	ExecutedNS int64 `json:"executed_ns,omitempty"`
	// VerifiedNS is when the effect was seen (no process left), Unix nanoseconds; 0 if it was not.
	VerifiedNS int64 `json:"verified_ns,omitempty"`
	// Processes is how many processes were in the container before.
	Processes int `json:"processes,omitempty"`
	// Repeated says that the order was carried out before and this is the old receipt.
	Repeated bool `json:"repeated,omitempty"`
}
