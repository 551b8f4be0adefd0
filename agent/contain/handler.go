package contain

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"riposte/agent/cgroupns"
	"riposte/agent/event"
	"riposte/agent/order"
)

// Containers is the agent's own knowledge of the node's containers. It is asked
// from several goroutines.
type Containers interface {
	// Container finds a container by the runtime's full id.
	Container(id string) (event.Container, bool)
	// ContainerAt finds the container that a cgroup v2 path below the root is in.
	ContainerAt(cgroup string) (event.Container, bool)
}

// Options configure a Handler.
type Options struct {
	Cluster, Node string
	// Keys are those of which one must have signed a message.
	Keys Keys
	// CgroupRoot is where the cgroup v2 tree is mounted.
	CgroupRoot string
	// Dir keeps the ledger of orders, the leases and what the responder lets stand.
	Dir        string
	Containers Containers
	// Recorded refuses every order: the containers are a recording's.
	Recorded bool
	// Verify bounds the wait until an effect is seen; 5 s if 0.
	Verify time.Duration
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	Log *slog.Logger
}

// Handler carries out orders.
type Handler struct {
	opt Options
	// view is from where /proc tells paths of cgroups, own the agent's own cgroup, as a
	// path below the root.
	view   cgroupns.View
	own    string
	keep   keeper
	holds  *holds
	counts counts
	// answered are the receipts.
	answered answers

	// mu guards ledger and running.
	mu     sync.Mutex
	ledger *ledger
	// running are the orders being carried out; a repeat waits for the first.
	running map[string]chan struct{}
}

// Open reads what an earlier run has left: ledger, leases, standing orders. Run
// must run for leases to end.
func Open(opt Options) (*Handler, error) {
	if err := opt.Keys.check(); err != nil {
		return nil, err
	}
	if opt.Verify == 0 {
		opt.Verify = 5 * time.Second
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	view, err := cgroupns.Look(opt.CgroupRoot)
	if err != nil {
		return nil, err
	}
	own, err := cgroupOf(view, "self")
	if err != nil {
		return nil, fmt.Errorf("find the agent's own cgroup: %w", err)
	}
	l, err := openLedger(opt.Dir, opt.Now, opt.Log)
	if err != nil {
		return nil, err
	}
	h := &Handler{opt: opt, view: view, own: own, ledger: l, running: map[string]chan struct{}{}}
	h.keep = keeper{opt: &h.opt, counts: &h.counts}
	h.keep.load()
	if h.holds, err = openHolds(opt.Dir, opt.Log); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return h, nil
}

// Close closes the ledger. No Handle may run any more. What is held stays held, for
// the next run or until its lease ends.
func (h *Handler) Close() error { return h.ledger.close() }

// Answer is Handle for a bus: it returns the receipt's JSON, or nil where there
// is no receipt to give.
func (h *Handler) Answer(ctx context.Context, message []byte) []byte {
	r := h.Handle(ctx, message)
	if r.Outcome == "" {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a Receipt is strings and numbers
	}
	return b
}

// Handle carries out one signed order, if it may, and returns its receipt. It
// may run several times at once. The receipt has no outcome if ctx ended while
// another call was still carrying out the same order: nothing is known then.
func (h *Handler) Handle(ctx context.Context, message []byte) order.Receipt {
	r := h.handle(ctx, message)
	h.answered.add(r.Outcome)
	return r
}

func (h *Handler) handle(ctx context.Context, message []byte) order.Receipt {
	o, err := opened(h.opt.Keys, func(key ed25519.PublicKey) (order.Order, error) {
		return order.Open(key, message, h.opt.Cluster, h.opt.Node, h.opt.Now())
	})
	if err != nil && !errors.Is(err, order.ErrExpired) {
		h.opt.Log.Warn("an order is refused", "error", err)
		return order.Receipt{OrderID: o.ID, Outcome: order.Refused, Message: err.Error()}
	}
	reason := incomplete(o)
	if h.opt.Recorded {
		reason = "this agent replays a recording: nothing may be done about it"
	}
	if reason != "" {
		h.opt.Log.Warn("an order is refused", "order", o.ID, "error", reason)
		return order.Receipt{OrderID: o.ID, Outcome: order.Refused, Message: reason}
	}
	release, ended := h.claim(ctx, o.ID)
	if ended != nil {
		return order.Receipt{OrderID: o.ID}
	}
	defer release()
	begun, known := h.recall(o.ID)
	switch {
	case known && (begun.Target != o.Target || begun.kind() != o.Kind):
		return order.Receipt{OrderID: o.ID, Outcome: order.Refused, Message: "the id belongs to an earlier order of another kind or about another target"}
	case known && begun.Receipt != nil:
		return h.repeat(ctx, o, *begun.Receipt)
	case err != nil:
		h.opt.Log.Warn("an order is refused", "order", o.ID, "error", err)
		return order.Receipt{OrderID: o.ID, Outcome: order.Refused, Message: err.Error()}
	}
	r := h.carryOut(ctx, o, known)
	h.opt.Log.Info("an order was handled", "order", o.ID, "kind", o.Kind, "container", o.Target.ContainerID, "pid", o.Target.PID,
		"outcome", r.Outcome, "processes", r.Processes, "message", r.Message)
	return r
}
