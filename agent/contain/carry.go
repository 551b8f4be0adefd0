package contain

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"riposte/agent/order"
)

// effect carries out one kind of order: it finds the target, calls begin right
// before it changes anything, and writes into the receipt what it did.
type effect func(h *Handler, ctx context.Context, o order.Order, r *order.Receipt, begin func() error) error

// sight looks whether the effect of an order that was carried out is there.
type sight func(h *Handler, ctx context.Context, o order.Order) bool

// kinds are the orders that this agent knows.
var kinds = map[order.Kind]struct {
	effect effect
	sight  sight
}{
	order.Kill:        {(*Handler).killContainer, (*Handler).seenEmpty},
	order.KillProcess: {(*Handler).killProcess, (*Handler).seenEnded},
	order.Freeze:      {(*Handler).orderHold, (*Handler).seenHeld},
	order.Cut:         {(*Handler).orderHold, (*Handler).seenHeld},
	order.Thaw:        {(*Handler).orderLift, nil},
	order.Reconnect:   {(*Handler).orderLift, nil},
}

// incomplete says why an order cannot be carried out on any node.
func incomplete(o order.Order) string {
	container := o.Target.ContainerID != "" && o.Target.CgroupID != 0 && o.Target.StartNS != 0
	_, known := kinds[o.Kind]
	switch {
	case !known:
		return fmt.Sprintf("this agent knows no order %.40q", o.Kind)
	case o.ID == "" || len(o.ID) > maxID || o.ID == order.HoldStanding:
		return fmt.Sprintf("the order's id is empty, %q or longer than %d bytes", order.HoldStanding, maxID)
	case o.Kind == order.KillProcess && (o.Target.PID <= 0 || o.Target.ProcessNS == 0):
		return "the target lacks its pid or its start"
	case o.Kind == order.KillProcess && !container && (o.Target.ContainerID != "" || o.Target.CgroupID != 0 || o.Target.StartNS != 0):
		return "the target's container is given in part"
	case o.Kind != order.KillProcess && !container:
		return "the target lacks its container id, cgroup id or start"
	case o.Kind.Held() && o.Lease.IsZero():
		return "the lease is missing: whatever is held must end by itself"
	case len(o.Of) > maxID:
		return fmt.Sprintf("the id of the order to lift is longer than %d bytes", maxID)
	}
	return ""
}

// maxID bounds an order's id.
const maxID = 128

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

// carryOut has the effect of an order that is not known or was only begun. An order
// that failed is not final: a repeat tries again.
func (h *Handler) carryOut(ctx context.Context, o order.Order, begun bool) order.Receipt {
	r := order.Receipt{OrderID: o.ID}
	if o.Kind.Lifts() == "" {
		if why := h.keep.switchedOff(); why != "" {
			r.Outcome, r.Message = order.Failed, why
			return r
		}
	}
	err := kinds[o.Kind].effect(h, ctx, o, &r, func() error {
		if begun {
			return nil
		}
		return h.record(line{ID: o.ID, Kind: o.Kind, Expires: o.Expires, Target: o.Target})
	})
	if err != nil {
		return h.unsettled(o, r, err, begun)
	}
	r.Outcome = order.Done
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
		r.Message += fmt.Sprintf("; an earlier run of the agent had begun to %s it", strings.TrimSuffix(string(o.Kind), "_process"))
	}
	if final.empty {
		r.VerifiedNS = h.opt.Now().UnixNano()
	}
	return h.settle(o, r)
}

// repeat answers with the old receipt. If the effect had not been seen when that
// was written, it looks once more.
func (h *Handler) repeat(ctx context.Context, o order.Order, r order.Receipt) order.Receipt {
	if r.Outcome == order.Done {
		before := r
		if o.Kind.Held() {
			h.renew(o, &r)
		}
		if look := kinds[o.Kind].sight; r.VerifiedNS == 0 && r.LiftedNS == 0 && look != nil && look(h, ctx, o) {
			r.VerifiedNS, r.Message = h.opt.Now().UnixNano(), ""
		}
		if r != before {
			r = h.settle(o, r)
		}
		if o.Kind == order.Cut {
			r.Dropped = h.dropped(o.Target)
		}
	}
	r.Repeated = true
	return r
}

// settle writes the receipt down. If that fails the effect stands, and a repeat
// looks at the container again.
func (h *Handler) settle(o order.Order, r order.Receipt) order.Receipt {
	if err := h.record(line{ID: o.ID, Kind: o.Kind, Expires: o.Expires, Target: o.Target, Receipt: &r}); err != nil {
		h.opt.Log.Error("a receipt is not on disk", "order", o.ID, "error", err)
	}
	return r
}

// killContainer ends every process of the container.
func (h *Handler) killContainer(ctx context.Context, o order.Order, r *order.Receipt, begin func() error) error {
	c, err := h.findFree(o.Target)
	if err != nil {
		return err
	}
	defer c.close()
	if err := begin(); err != nil {
		return err
	}
	r.Processes = c.count
	if err := c.kill(ctx); err != nil {
		if c.removed() {
			return gone("the container ended by itself")
		}
		return err
	}
	r.ExecutedNS = h.opt.Now().UnixNano()
	if err := h.waitEmpty(ctx, c); err != nil {
		r.Message = "killed, but processes are still ending: " + err.Error()
	} else {
		r.VerifiedNS = h.opt.Now().UnixNano()
	}
	return nil
}

func (h *Handler) waitEmpty(ctx context.Context, c *target) error {
	ctx, cancel := context.WithTimeout(ctx, h.opt.Verify)
	defer cancel()
	return c.waitEmpty(ctx)
}

func (h *Handler) seenEmpty(ctx context.Context, o order.Order) bool {
	c, err := h.find(o.Target)
	var final *verdict
	if err != nil {
		return errors.As(err, &final) && final.empty
	}
	defer c.close()
	return h.waitEmpty(ctx, c) == nil
}
