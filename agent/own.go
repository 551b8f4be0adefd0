package agent

import (
	"sync/atomic"
	"time"

	"riposte/agent/event"
)

// Own says how much of the agent itself the rules see.
type Own uint8

const (
	// OwnProcessHidden hides the agent's process alone.
	OwnProcessHidden Own = iota
	// OwnHidden hides what it starts too: the programs of program_output, PostgreSQL of
	// `riposte up`. A process that it starts in a container of its own is seen.
	OwnHidden
	// OwnReported hides nothing. What the agent does can be an alert then, and writing
	// that alert another one: such alerts are limited.
	OwnReported
)

// Own alerts are limited to so many at once and so many a second.
const (
	ownBurst     = 10
	ownPerSecond = 1
)

// ownEvents limits the alerts about the agent itself, so that it cannot live on its own
// output. The pipeline's turn guards it, but for heldBack.
type ownEvents struct {
	mode   Own
	bucket float64
	filled time.Time
	// heldBack counts the alerts that were not made.
	heldBack atomic.Uint64
}

func (o *ownEvents) allow() bool {
	now := time.Now()
	if o.filled.IsZero() {
		o.bucket, o.filled = ownBurst, now
	}
	o.bucket = min(ownBurst, o.bucket+ownPerSecond*now.Sub(o.filled).Seconds())
	o.filled = now
	if o.bucket < 1 {
		o.heldBack.Add(1)
		return false
	}
	o.bucket--
	return true
}

// isOwn says whether the agent, or what it has started, caused the event.
func (p *pipeline) isOwn(e *event.Event) bool {
	return !e.Recorded && (e.Task.PID == p.self || p.own.mode != OwnProcessHidden && e.Proc != nil && e.Proc.Own)
}

// hides says whether no rule sees the event because it is the agent's own.
func (p *pipeline) hides(e *event.Event) bool {
	return p.own.mode != OwnReported && p.isOwn(e)
}
