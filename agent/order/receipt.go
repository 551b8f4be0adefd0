package order

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
	// VerifiedNS is when the effect was seen, Unix nanoseconds; 0 if it was not: no
	// process left, all of them frozen, no way left for a packet.
	VerifiedNS int64 `json:"verified_ns,omitempty"`
	// Processes is how many processes were in the container before.
	Processes int `json:"processes,omitempty"`
	// UntilNS is when the hold of a Freeze or Cut ends by itself, Unix nanoseconds.
	UntilNS int64 `json:"until_ns,omitempty"`
	// LiftedNS is when that hold ended, Unix nanoseconds; 0 while it lasts.
	LiftedNS int64 `json:"lifted_ns,omitempty"`
	// Dropped is how many packets a cut has dropped so far.
	Dropped uint64 `json:"dropped,omitempty"`
	// Repeated says that the order was carried out before and this is the old receipt.
	Repeated bool `json:"repeated,omitempty"`
}
