package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"riposte/responder/audit"
	"riposte/responder/store"
)

// Bounds of repetition.
const (
	// maxFailures is how often a message may fail by its own fault.
	maxFailures = 5
	// maxFailing bounds the messages whose failures are remembered.
	maxFailing = 4096
	maxDelay   = 5 * time.Second
	firstPause = 100 * time.Millisecond
)

// failures counts, by origin, how often a message failed by its own fault in this
// process. The broker's count will not do: it also counts every delivery that
// found the database away.
type failures map[store.Origin]int

func (f failures) add(o store.Origin) int {
	if _, known := f[o]; !known && len(f) >= maxFailing {
		clear(f) // so many at once are no accident; counting starts again
	}
	f[o]++
	return f[o]
}

// settle answers messages after process.
func (in *Ingest) settle(ctx context.Context, work []*arrival, err error) {
	if err == nil {
		in.pause = 0
		for _, a := range work {
			delete(in.failures, a.origin)
			in.answer(a.Ack())
		}
		return
	}
	if in.away(ctx, err) {
		in.counts.waited.Add(uint64(len(work)))
		in.pause = min(max(2*in.pause, firstPause), maxDelay)
		if ctx.Err() == nil {
			in.Log.Warn("alerts wait for the database", "alerts", len(work), "pause", in.pause, "error", err)
		}
		for _, a := range work {
			in.answer(a.Nak(in.pause))
		}
		select {
		case <-ctx.Done():
		case <-time.After(in.pause):
		}
		return
	}
	for _, a := range work {
		n := in.failures.add(a.origin)
		if n < maxFailures {
			in.counts.failed.Add(1)
			in.Log.Warn("an alert could not be stored and is tried again", "alert", a.alert.UUID, "failures", n, "error", strconv.QuoteToASCII(err.Error()))
			in.answer(a.Nak(min(firstPause<<n, maxDelay)))
			continue
		}
		in.giveUp(ctx, a, err)
	}
}

// giveUp drops an alert that cannot be stored, and writes that down if it can.
func (in *Ingest) giveUp(ctx context.Context, a *arrival, cause error) {
	sum := sha256.Sum256(a.Data())
	note := fmt.Sprintf("given up after %d failures: %s; subject %s, message %s, %d bytes, SHA-256 %s", maxFailures, cause,
		a.Subject(), a.ID(), len(a.Data()), hex.EncodeToString(sum[:]))
	entry := audit.Entry{
		Cluster: a.origin.Cluster, Kind: audit.Alert, At: in.Now(), Actor: audit.System("ingest"), Result: "dropped", Note: store.Text(note),
		Why:  audit.Why{AlertID: a.alert.UUID, Rule: a.alert.Rule},
		When: when(a, 0),
	}
	err := in.Store.InTx(ctx, func(tx store.Tx) error { return audit.Append(ctx, tx, entry) })
	if err != nil && in.away(ctx, err) {
		in.answer(a.Nak(maxDelay)) // it still counts as failed: the next delivery comes here again
		return
	}
	in.counts.dropped.Add(1)
	delete(in.failures, a.origin)
	in.Log.Error("an alert was given up", "alert", a.alert.UUID, "cause", strconv.QuoteToASCII(cause.Error()), "audited", err == nil,
		"sha256", hex.EncodeToString(sum[:]), "data", strconv.QuoteToASCII(clip(string(a.Data()))))
	in.answer(a.Term("cannot be stored"))
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
