package contain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"riposte/agent/order"
)

// orderHold carries out a Freeze or a Cut.
func (h *Handler) orderHold(ctx context.Context, o order.Order, r *order.Receipt, begin func() error) error {
	until, err := h.sinceBoot(o.Lease)
	if err != nil {
		return err
	}
	c, err := h.findFree(o.Target)
	if err != nil {
		return err
	}
	defer c.close()
	if err := begin(); err != nil {
		return err
	}
	h.holds.mu.Lock()
	d, err := h.grip(c, o.Kind, o.ID, until, o.Loopback)
	h.holds.mu.Unlock()
	if err != nil {
		if c.removed() {
			return gone("the container ended by itself")
		}
		return err
	}
	r.ExecutedNS, r.Processes, r.UntilNS = h.opt.Now().UnixNano(), c.count, o.Lease.UnixNano()
	if d.Found {
		r.Message = "it was frozen already, by another, and stays so at the end of the lease"
	}
	if why := h.look(ctx, c, d); why != "" {
		r.Message = why
	} else {
		r.VerifiedNS = h.opt.Now().UnixNano()
	}
	return nil
}

// look says why the effect of a hold is not seen, if so.
func (h *Handler) look(ctx context.Context, c *target, d *hold) string {
	if d.Kind == order.Cut {
		h.holds.mu.Lock()
		defer h.holds.mu.Unlock()
		return d.Cut.missing(c.cgroup)
	}
	ctx, cancel := context.WithTimeout(ctx, h.opt.Verify)
	defer cancel()
	if err := c.waitFrozen(ctx); err != nil {
		return "frozen, but some processes have not stopped yet: " + err.Error()
	}
	return ""
}

func (h *Handler) seenHeld(ctx context.Context, o order.Order) bool {
	c, err := h.find(o.Target)
	if err != nil {
		var final *verdict
		return errors.As(err, &final) && final.empty
	}
	defer c.close()
	h.holds.mu.Lock()
	d := h.holds.all[holdKey{o.Target.CgroupID, o.Kind}]
	h.holds.mu.Unlock()
	return d != nil && h.look(ctx, c, d) == ""
}

// renew makes a lease that still lasts end later, and says so of one that has ended:
// that one stays so.
func (h *Handler) renew(o order.Order, r *order.Receipt) {
	h.holds.mu.Lock()
	defer h.holds.mu.Unlock()
	now := h.opt.Now().UnixNano()
	d := h.holds.all[holdKey{o.Target.CgroupID, o.Kind}]
	if d == nil || d.Holders[o.ID] <= bootNS() {
		if r.LiftedNS == 0 {
			r.LiftedNS = min(now, r.UntilNS)
		}
		return
	}
	until, err := h.sinceBoot(o.Lease)
	if err != nil || o.Lease.UnixNano() <= r.UntilNS || h.keep.switchedOff() != "" {
		return
	}
	err = h.note(d, o.ID, until)
	if err == nil && d.Kind == order.Cut {
		err = d.Cut.end(d.until())
	}
	if err != nil {
		h.opt.Log.Error("a lease is not renewed", "order", o.ID, "error", err)
		return
	}
	r.UntilNS = o.Lease.UnixNano()
}

// orderLift carries out a Thaw or a Reconnect.
func (h *Handler) orderLift(_ context.Context, o order.Order, r *order.Receipt, begin func() error) error {
	h.holds.mu.Lock()
	defer h.holds.mu.Unlock()
	d := h.holds.all[holdKey{o.Target.CgroupID, o.Kind.Lifts()}]
	if d == nil || d.Target.ContainerID != o.Target.ContainerID {
		return replaced("nothing holds the container")
	}
	lifted := []string{o.Of}
	if o.Of == "" {
		lifted = lifted[:0]
		for id := range d.Holders {
			lifted = append(lifted, id)
		}
		slices.Sort(lifted)
	} else if _, holds := d.Holders[o.Of]; !holds {
		return replaced("order %.128q does not hold the container", o.Of)
	}
	if err := begin(); err != nil {
		return err
	}
	if d.Kind == order.Cut {
		r.Dropped = d.Cut.dropped()
	}
	if err := h.loosen(d, lifted...); err != nil {
		return err
	}
	h.ended(lifted)
	r.ExecutedNS = h.opt.Now().UnixNano()
	if n := len(d.Holders); n > 0 {
		r.Message = fmt.Sprintf("it stays so: %d other orders hold the container", n)
		return nil
	}
	if d.Found {
		r.Message = "it stays frozen: another had done so before"
	}
	r.VerifiedNS = r.ExecutedNS
	return nil
}

// dropped counts what a cut has dropped.
func (h *Handler) dropped(t order.Target) uint64 {
	h.holds.mu.Lock()
	defer h.holds.mu.Unlock()
	d := h.holds.all[holdKey{t.CgroupID, order.Cut}]
	if d == nil {
		return 0
	}
	return d.Cut.dropped()
}
