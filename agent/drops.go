package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"riposte/agent/alert"
)

// DropPolicy says what happens when the kernel's events are lost.
type DropPolicy struct {
	// Threshold is the share of a second's events, from 0 to 1, over which a loss counts.
	Threshold float64
	// Log tells the agent's log, Alert makes an alert "Falco internal: syscall event
	// drop", Exit ends the agent with an error.
	Log, Alert, Exit bool
	// Rate and Burst bound how often: so many a second, after a burst of so many.
	Rate  float64
	Burst int
}

// dropRule is Falco's name for the alert about lost events.
const dropRule = "Falco internal: syscall event drop"

// lostEvents are the places that lose a whole event; the others lose a part of one.
var lostEvents = []string{
	"ring_full", "ring_full_state", "shed", "shed_low", "scratch_busy", "tail_call", "recursion", "undecodable", "uring_unmatched",
}

func lostTotal(lost map[string]uint64) (n uint64) {
	for _, place := range lostEvents {
		n += lost[place]
	}
	return n
}

// dropWatch compares the counters of one second with those of the last.
type dropWatch struct {
	// policy is the one that the bucket was filled for.
	policy       *DropPolicy
	events, lost uint64
	bucket       float64
	filled       time.Time
	// silent counts losses over the threshold that the rate held back.
	silent atomic.Uint64
}

// watchDrops looks once a second until ctx ends.
func (a *Agent) watchDrops(ctx context.Context, end func(error)) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			if err := a.checkDrops(now, a.events.Load(), a.source.Lost()); err != nil {
				end(err)
				return
			}
		}
	}
}

// checkDrops acts on what was lost since the last call.
func (a *Agent) checkDrops(now time.Time, events uint64, all map[string]uint64) error {
	w, policy := &a.drops, a.current.Load().drops
	total := lostTotal(all)
	lost, seen := total-w.lost, events-w.events
	w.lost, w.events = total, events
	if policy == nil {
		return nil
	}
	if w.policy != policy {
		w.policy, w.bucket, w.filled = policy, float64(policy.Burst), now
	}
	w.bucket = min(float64(policy.Burst), w.bucket+policy.Rate*now.Sub(w.filled).Seconds())
	w.filled = now
	if lost == 0 || float64(lost) <= policy.Threshold*float64(lost+seen) {
		return nil
	}
	if w.bucket < 1 {
		w.silent.Add(1)
		return nil
	}
	w.bucket--
	message := fmt.Sprintf("%s. %d system calls dropped in last second.", dropRule, lost)
	if policy.Log {
		a.log.Error(message, "dropped", lost, "seen", seen)
	}
	if policy.Alert {
		fields := map[string]any{"n_drops": lost, "n_evts": seen + lost}
		for _, place := range slices.Sorted(slices.Values(lostEvents)) {
			fields["riposte.lost."+place] = all[place]
		}
		a.internal(firing{rule: dropRule, priority: alert.Debug, message: message, fields: fields})
	}
	if policy.Exit {
		return errors.New("too many system calls were dropped, and syscall_event_drops has the action exit")
	}
	return nil
}
