package contain

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"riposte/agent/alert"
	"riposte/agent/event"
	"riposte/agent/order"
)

// Firing is a rule that fired in a container, as triggers look at it.
type Firing struct {
	Rule, Source string
	Priority     alert.Priority
	Tags         []string
}

// Immediate contains a container at once, if a standing order's trigger fits and
// nothing speaks against it, and returns what it did; nil if nothing. It does not
// wait for the effect: the alert goes out first. The hold ends by itself unless an
// order takes over.
func (h *Handler) Immediate(c event.Container, f Firing) *alert.Contained {
	if h.opt.Recorded || c.ID == "" {
		return nil
	}
	t, protect := h.keep.trigger(c, f, h.opt.Now())
	if t == nil {
		return nil
	}
	done, err := h.containNow(c, *t, protect)
	if err != nil {
		if _, final := errors.AsType[*verdict](err); final {
			h.counts.withheld.Add(1)
		} else {
			h.counts.failed.Add(1)
		}
		h.opt.Log.Warn("nothing is contained at once", "rule", f.Rule, "container", c.ID, "playbook", t.Playbook, "error", err)
		return nil
	}
	return done
}

// trigger is the first that fits, a freeze before a cut, while standing orders are
// in force.
func (k *keeper) trigger(c event.Container, f Firing, now time.Time) (*order.Trigger, order.Protect) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.standing == nil || !now.Before(k.standing.Expires) {
		return nil, order.Protect{}
	}
	var found *order.Trigger
	for i := range k.standing.Triggers {
		t := &k.standing.Triggers[i]
		if (found == nil || found.Contain == order.Cut && t.Contain == order.Freeze) &&
			t.Matches(f.Rule, f.Source, f.Priority, f.Tags) && inCanary(*t, c) {
			found = t
		}
	}
	return found, k.standing.Protect
}

// inCanary says whether a container is in the part of the cluster in which the
// trigger's playbook acts.
func inCanary(t order.Trigger, c event.Container) bool {
	if len(t.Namespaces)+len(t.Labels) == 0 {
		return true
	}
	if c.Pod == nil || len(t.Namespaces) > 0 && !slices.Contains(t.Namespaces, c.Pod.Namespace) {
		return false
	}
	for key, value := range t.Labels {
		if got, ok := c.Pod.Labels[key]; !ok || got != value {
			return false
		}
	}
	return true
}

func (h *Handler) containNow(known event.Container, t order.Trigger, protect order.Protect) (*alert.Contained, error) {
	if why := h.keep.stopped(t.Playbook); why != "" {
		return nil, refused(why)
	}
	if known.Pod != nil && known.Pod.Namespace == "" {
		return nil, refused("the pod's namespace is not known, so it may be protected")
	}
	if why := protects(protect, known); why != "" {
		return nil, refused(why)
	}
	h.holds.mu.Lock()
	defer h.holds.mu.Unlock()
	if d := h.holds.all[holdKey{known.CgroupID, t.Contain}]; d != nil && d.until() > bootNS() {
		return contained(d, t), nil // no firing makes the lease longer
	}
	c, err := h.find(order.Target{ContainerID: known.ID, CgroupID: known.CgroupID, StartNS: known.StartNS})
	if err != nil {
		return nil, err
	}
	defer c.close()
	lease := cmp.Or(t.LeaseNS, int64(order.DefaultImmediate))
	d, err := h.grip(c, t.Contain, order.HoldStanding, bootNS()+uint64(lease), false)
	if err != nil {
		return nil, err
	}
	h.opt.Log.Info("contained at once", "kind", d.Kind, "container", known.ID, "playbook", t.Playbook, "lease", time.Duration(lease))
	return contained(d, t), nil
}

// contained says what holds a container now.
func contained(d *hold, t order.Trigger) *alert.Contained {
	return &alert.Contained{
		Kind: string(d.Kind), AtNS: d.SinceNS, LeaseNS: int64(d.until() - min(d.until(), bootNS())), Playbook: t.Playbook,
	}
}
