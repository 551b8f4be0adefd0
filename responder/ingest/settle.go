package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"riposte/responder/store"
)

// Bounds of repetition.
const (
	// maxTallied bounds the messages that a tally remembers.
	maxTallied = 4096
	maxDelay   = 5 * time.Second
	firstPause = 100 * time.Millisecond
)

// tally counts something by origin, in this process. The broker's count of
// deliveries will not do: it also counts those that found the database away.
type tally map[store.Origin]int

func (t tally) add(o store.Origin) int {
	if _, known := t[o]; !known && len(t) >= maxTallied {
		clear(t) // so many at once are no accident; counting starts again
	}
	t[o]++
	return t[o]
}

// settle answers messages after process.
func (in *Ingest) settle(ctx context.Context, work []*arrival, err error) {
	if err == nil {
		in.pause = 0
		for _, a := range work {
			delete(in.failures, a.origin)
			delete(in.asked, a.origin)
			in.answer(a.Ack())
		}
		return
	}
	if in.away(ctx, err) {
		hold(ctx, in, work, err)
		return
	}
	var dead []letter
	for _, a := range work {
		n := in.failures.add(a.origin)
		if n < in.Tries {
			in.counts.failed.Add(1)
			in.Log.Warn("an alert could not be stored and is tried again", "alert", a.alert.UUID, "failures", n, "error", strconv.QuoteToASCII(err.Error()))
			in.answer(a.Nak(min(firstPause<<n, maxDelay)))
			continue
		}
		dead = append(dead, letter{Message: a, reason: Unstorable, err: fmt.Errorf("given up after %d failures: %w", n, err), alertID: a.alert.UUID, origin: a.origin})
	}
	in.bury(ctx, dead)
}

// hold gives messages back while the database is away, and waits a little.
func hold[M Message](ctx context.Context, in *Ingest, messages []M, cause error) {
	in.counts.waited.Add(uint64(len(messages)))
	in.pause = min(max(2*in.pause, firstPause), maxDelay)
	if ctx.Err() == nil {
		in.Log.Warn("alerts wait for the database", "messages", len(messages), "pause", in.pause, "error", cause)
	}
	for _, m := range messages {
		in.answer(m.Nak(in.pause))
	}
	select {
	case <-ctx.Done():
	case <-time.After(in.pause):
	}
}

// away tells trouble of the database, which passes, from a fault of the message,
// which does not. What is neither for certain is settled by asking whether the
// database answers.
func (in *Ingest) away(ctx context.Context, err error) bool {
	switch {
	case ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded):
		return true
	case store.Fault(err):
		return false
	case store.Refused(err): // it answered, and blamed itself: shutting down, out of disk, deadlock
		return true
	case store.Unsent(err): // by now it may answer again
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return in.Store.Ping(ctx) != nil
}

// answer counts answers that did not get to the broker: it delivers again then.
func (in *Ingest) answer(err error) {
	if err != nil {
		in.counts.unanswered.Add(1)
		in.Log.Debug("a message's answer did not get to the broker", "error", err)
	}
}
