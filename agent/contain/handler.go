package contain

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"riposte/agent/event"
	"riposte/agent/order"
)

// Containers is the agent's own knowledge of the node's containers. Container is
// called from several goroutines.
type Containers interface {
	Container(id string) (event.Container, bool)
}

// Options configure a Handler.
type Options struct {
	Cluster, Node string
	// Key is the responder's public key.
	Key ed25519.PublicKey
	// CgroupRoot is where the cgroup v2 tree is mounted.
	CgroupRoot string
	// Dir keeps the ledger of orders.
	Dir        string
	Containers Containers
	// Recorded refuses every order: the containers are a recording's.
	Recorded bool
	// Verify bounds the wait until a killed container is empty; 5 s if 0.
	Verify time.Duration
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	Log *slog.Logger
}

// Handler carries out orders.
type Handler struct {
	opt Options
	// own is the agent's own cgroup, as a path below the root.
	own string

	mu     sync.Mutex
	ledger *ledger
	// running are the orders being carried out; a repeat waits for the first.
	running map[string]chan struct{}
}

// Open reads the ledger.
func Open(opt Options) (*Handler, error) {
	if len(opt.Key) != ed25519.PublicKeySize {
		return nil, errors.New("the responder's public key is missing: without it no order can be believed")
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
	own, err := ownCgroup()
	if err != nil {
		return nil, fmt.Errorf("find the agent's own cgroup: %w", err)
	}
	l, err := openLedger(opt.Dir, opt.Now, opt.Log)
	if err != nil {
		return nil, err
	}
	return &Handler{opt: opt, own: own, ledger: l, running: map[string]chan struct{}{}}, nil
}

// Close closes the ledger. No Handle may run any more.
func (h *Handler) Close() error { return h.ledger.close() }

// ownCgroup is this process's path in the cgroup v2 tree.
func ownCgroup() (string, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for text := range strings.Lines(string(b)) {
		if p, ok := strings.CutPrefix(strings.TrimSuffix(text, "\n"), "0::"); ok {
			return path.Clean(p), nil
		}
	}
	return "", errors.New("/proc/self/cgroup has no line for cgroup v2 (0::…)")
}

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
	o, err := order.Open(h.opt.Key, message, h.opt.Cluster, h.opt.Node, h.opt.Now())
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
	case known && begun.Target != o.Target:
		return order.Receipt{OrderID: o.ID, Outcome: order.Refused, Message: "the id belongs to an earlier order about another target"}
	case known && begun.Receipt != nil:
		return h.repeat(ctx, o, *begun.Receipt)
	case err != nil:
		h.opt.Log.Warn("an order is refused", "order", o.ID, "error", err)
		return order.Receipt{OrderID: o.ID, Outcome: order.Refused, Message: err.Error()}
	}
	r := h.carryOut(ctx, o, known)
	h.opt.Log.Info("an order was handled", "order", o.ID, "kind", o.Kind, "container", o.Target.ContainerID,
		"outcome", r.Outcome, "processes", r.Processes, "message", r.Message)
	return r
}

// incomplete says why an order cannot be carried out on any node.
func incomplete(o order.Order) string {
	switch {
	case o.Kind != order.Kill:
		return fmt.Sprintf("this agent knows no order %q", o.Kind)
	case o.ID == "" || len(o.ID) > 128:
		return "the order's id is empty or longer than 128 bytes"
	case o.Target.ContainerID == "" || o.Target.CgroupID == 0 || o.Target.StartNS == 0:
		return "the target lacks its container id, cgroup id or start"
	}
	return ""
}

// claim makes sure that one order is carried out by one goroutine at a time.
func (h *Handler) claim(ctx context.Context, id string) (release func(), err error) {
	for {
		h.mu.Lock()
		first, busy := h.running[id]
		if !busy {
			done := make(chan struct{})
			h.running[id] = done
			h.mu.Unlock()
			return func() {
				h.mu.Lock()
				delete(h.running, id)
				h.mu.Unlock()
				close(done)
			}, nil
		}
		h.mu.Unlock()
		select {
		case <-first:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (h *Handler) recall(id string) (line, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, ok := h.ledger.orders[id]
	return l, ok
}

func (h *Handler) record(l line) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ledger.add(l)
}

// carryOut finds the target, checks that it is the one meant and may be killed,
// and kills it. An order that failed is not final: a repeat tries again.
func (h *Handler) carryOut(ctx context.Context, o order.Order, begun bool) order.Receipt {
	r := order.Receipt{OrderID: o.ID}
	c, err := h.find(o.Target)
	if err != nil {
		return h.unsettled(o, r, err, begun)
	}
	defer c.close()
	if !begun {
		if err := h.record(line{ID: o.ID, Expires: o.Expires, Target: o.Target}); err != nil {
			return h.unsettled(o, r, err, begun)
		}
	}
	r.Processes = c.count
	if err := c.kill(ctx); err != nil {
		if c.removed() {
			err = gone("the container ended by itself")
		}
		return h.unsettled(o, r, err, begun)
	}
	r.Outcome, r.ExecutedNS = order.Done, h.opt.Now().UnixNano()
	if err := h.waitEmpty(ctx, c); err != nil {
		r.Message = "killed, but processes are still ending: " + err.Error()
	} else {
		r.VerifiedNS = h.opt.Now().UnixNano()
	}
	return h.settle(o, r)
}

// unsettled is the receipt of an order that had no effect. A verdict is final;
// after another error a repeat tries again.
func (h *Handler) unsettled(o order.Order, r order.Receipt, err error, begun bool) order.Receipt {
	var final *verdict
	if !errors.As(err, &final) {
		r.Outcome, r.Message = order.Failed, err.Error()
		return r
	}
	r.Outcome, r.Message = final.outcome, final.message
	if begun && r.Outcome == order.Gone {
		r.Message += "; an earlier run of the agent had begun to kill it"
	}
	if final.empty {
		r.VerifiedNS = h.opt.Now().UnixNano()
	}
	return h.settle(o, r)
}

// repeat answers with the old receipt. If the effect had not been seen when that
// was written, it looks once more.
func (h *Handler) repeat(ctx context.Context, o order.Order, r order.Receipt) order.Receipt {
	if r.Outcome == order.Done && r.VerifiedNS == 0 {
		c, err := h.find(o.Target)
		var final *verdict
		seen := errors.As(err, &final) && final.empty
		if err == nil {
			seen = h.waitEmpty(ctx, c) == nil
			c.close()
		}
		if seen {
			r.VerifiedNS, r.Message = h.opt.Now().UnixNano(), ""
			r = h.settle(o, r)
		}
	}
	r.Repeated = true
	return r
}

func (h *Handler) waitEmpty(ctx context.Context, c *target) error {
	ctx, cancel := context.WithTimeout(ctx, h.opt.Verify)
	defer cancel()
	return c.waitEmpty(ctx)
}

// settle writes the receipt down. If that fails the effect stands, and a repeat
// looks at the container again.
func (h *Handler) settle(o order.Order, r order.Receipt) order.Receipt {
	if err := h.record(line{ID: o.ID, Expires: o.Expires, Target: o.Target, Receipt: &r}); err != nil {
		h.opt.Log.Error("a receipt is not on disk", "order", o.ID, "error", err)
	}
	return r
}
