package contain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"riposte/agent/order"
)

// errFull says that a hold would be one too many.
var errFull = fmt.Errorf("%d containers are held already", maxHolds)

// grip holds a container until that time since boot. It may hold already: then the
// later end counts. An order's hold takes over from the immediate one.
func (h *Handler) grip(c *target, kind order.Kind, holder string, until uint64, loopback bool) (*hold, error) {
	s := h.holds
	t := order.Target{ContainerID: c.container.ID, CgroupID: c.container.CgroupID, StartNS: c.container.StartNS}
	d := s.all[holdKey{t.CgroupID, kind}]
	first := d == nil
	if first {
		if err := h.room(); err != nil {
			return nil, err
		}
		d = &hold{Kind: kind, Target: t, Holders: map[string]uint64{}, SinceNS: h.opt.Now().UnixNano()}
		if kind == order.Freeze {
			found, err := c.freezing()
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			d.Found = found
		}
	}
	if _, known := d.Holders[holder]; !known && len(d.Holders) >= maxHolders {
		return nil, fmt.Errorf("%d orders hold this container already", maxHolders)
	}
	if kind == order.Cut && (first || d.Cut.broken(c.cgroup) != "") {
		// A crash or somebody else has left less than a cut.
		if !first {
			if err := d.Cut.detach(c.cgroup); err != nil {
				return nil, err
			}
		}
		made, err := newCut(c, loopback)
		if err != nil {
			return nil, err
		}
		defer made.close()
		d.Cut = &made.cut
		if err := h.note(d, holder, until); err != nil {
			return nil, err
		}
		if err := made.attach(c.cgroup, until); err != nil {
			return nil, errors.Join(err, h.loosen(d, holder))
		}
		return d, s.save() // the gap may be known now
	}
	if err := h.note(d, holder, until); err != nil {
		return nil, err
	}
	if kind == order.Cut {
		return d, d.Cut.extend(d.until(), loopback)
	}
	if err := c.freeze(); err != nil {
		return nil, errors.Join(err, h.loosen(d, holder))
	}
	return d, nil
}

// note writes the lease down before its effect.
func (h *Handler) note(d *hold, holder string, until uint64) error {
	s := h.holds
	before, known := d.Holders[holder]
	d.Holders[holder] = max(before, until)
	standing, replaced := d.Holders[order.HoldStanding]
	if replaced = replaced && holder != order.HoldStanding; replaced {
		delete(d.Holders, order.HoldStanding)
	}
	_, first := s.all[d.key()]
	s.all[d.key()] = d
	err := s.save()
	if err == nil {
		s.wake()
		return nil
	}
	if delete(d.Holders, holder); known {
		d.Holders[holder] = before
	}
	if replaced {
		d.Holders[order.HoldStanding] = standing
	}
	if !first {
		delete(s.all, d.key())
	}
	return err
}

// room makes place for one more hold by forgetting those whose container has gone.
func (h *Handler) room() error {
	s := h.holds
	if len(s.all) < maxHolds {
		return nil
	}
	for key, d := range s.all {
		if c, err := cgroupByID(h.opt.CgroupRoot, d.Target.CgroupID); errors.Is(err, fs.ErrNotExist) {
			delete(s.all, key)
		} else if err == nil {
			c.close()
		}
	}
	if len(s.all) >= maxHolds {
		h.counts.full.Add(1)
		return errFull
	}
	return nil
}

// loosen ends the leases of these holders and, with the last one, the hold itself.
// The effect ends before the lease is forgotten: after a crash in between it is
// ended again, which changes nothing.
func (h *Handler) loosen(d *hold, holders ...string) error {
	s := h.holds
	for _, id := range holders {
		delete(d.Holders, id)
	}
	if len(d.Holders) > 0 {
		err := s.save()
		if d.Kind == order.Cut {
			err = errors.Join(err, d.Cut.end(d.until()))
		}
		return err
	}
	if err := h.release(d); err != nil {
		h.counts.unlifted.Add(1)
		// It stays in the file with a lease that is over, so that it is tried again.
		d.Holders[retryHolder] = bootNS() + uint64(retryLift)
		s.wake()
		return errors.Join(err, s.save())
	}
	delete(s.all, d.key())
	return s.save()
}

// A lift that failed is tried again after retryLift.
const (
	retryHolder = "lift"
	retryLift   = time.Second
)

// release ends the effect of a hold.
func (h *Handler) release(d *hold) error {
	c, err := cgroupByID(h.opt.CgroupRoot, d.Target.CgroupID)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if c != nil {
		defer c.close()
	}
	switch {
	case d.Kind == order.Cut:
		return d.Cut.detach(c)
	case c == nil || d.Found:
		return nil
	}
	return c.thaw()
}

// Run ends leases in time, until ctx ends.
func (h *Handler) Run(ctx context.Context) {
	for {
		wait := h.lapse()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-h.holds.changed:
			timer.Stop()
		}
	}
}

// lapse ends every lease that is over, and returns how long the next one lasts.
func (h *Handler) lapse() time.Duration {
	h.holds.mu.Lock()
	defer h.holds.mu.Unlock()
	now, next := bootNS(), bootNS()+uint64(time.Hour)
	for _, d := range h.holds.all {
		var over []string
		for id, until := range d.Holders {
			if until <= now {
				over = append(over, id)
			}
		}
		if len(over) > 0 {
			err := h.loosen(d, over...)
			if err == nil {
				h.ended(over)
			}
			h.opt.Log.Info("a lease has ended", "kind", d.Kind, "container", d.Target.ContainerID, "orders", over, "still_held", len(d.Holders) > 0, "error", err)
		}
		for _, until := range d.Holders {
			next = min(next, until)
		}
	}
	if now = bootNS(); next <= now {
		return 0
	}
	return time.Duration(next - now)
}

// ended says in the receipts of these orders that their hold has ended.
func (h *Handler) ended(ids []string) {
	for _, id := range ids {
		l, ok := h.recall(id)
		if !ok || l.Receipt == nil || l.Receipt.LiftedNS != 0 {
			continue
		}
		r := *l.Receipt
		r.LiftedNS, l.Receipt = h.opt.Now().UnixNano(), &r
		if err := h.record(l); err != nil {
			h.opt.Log.Error("a receipt is not on disk", "order", id, "error", err)
		}
	}
}
