// Package capture turns what happens in the kernel into events.
//
// Open loads the programs of package bpf and attaches them; Run reads their ring
// buffer, decodes each record and hands it on as an event.Event. Every place where
// something can be lost has a counter (Lost). Package replay is the same Source
// from a recorded file.
package capture

import (
	"context"
	"log/slog"

	"riposte/agent/event"
)

// Source is a stream of events.
type Source interface {
	// Name is "ebpf" or "recorded".
	Name() string
	// Run hands over events in order until ctx ends, the source is closed or
	// exhausted, then returns nil. The event is used again after handle returns.
	Run(ctx context.Context, handle func(*event.Event)) error
	// Lost counts what was lost since the start, by place. Places that never lost
	// anything are listed with 0.
	Lost() map[string]uint64
	// Close ends Run and gives back all that the source holds in the kernel.
	Close() error
}

// Options of Open. The zero value is right for most nodes.
type Options struct {
	// RingBytes is the ring buffer's size, a power of two and a multiple of the page
	// size. Default 8 MiB, which holds about 30,000 events.
	RingBytes int
	// Types are those that are wanted at first; see Live.SetTypes. Default: all.
	Types []event.Type
	// Raw uses the programs for older kernels even where the typed ones load.
	Raw bool
	// OwnEvents reports the agent's own process too; tests want that.
	OwnEvents bool
	// Log receives what was chosen at the start. Default: nothing is logged.
	Log *slog.Logger
}

// Interest says which types of events of a process no rule can match any more, so that
// the kernel leaves them out. It holds as long as the process, and what it asks of its
// ancestors, are what they were at one event.
type Interest struct {
	// PID and StartNS name the process, Gen and Epoch are its newest event's.
	PID     int32
	StartNS uint64
	Gen     uint32
	Epoch   uint64
	// CgroupID and PPID are the newest event's; UID, GID and Comm are of the process's
	// first thread. All events tell them, so one from a process that has others by
	// now is not left out.
	CgroupID uint64
	PPID     int32
	UID, GID uint32
	Comm     string
	// Wanted has a bit for each event.Type that is still told. Those of the state set
	// are in any case.
	Wanted [4]uint64
}

// Unavailable says why the kernel cannot be watched from here, and what would help.
type Unavailable struct {
	// Why is the cause in one line, Help what the reader can do about it.
	Why, Help string
	// Err is the kernel's own answer, if there was one.
	Err error
}

func (u *Unavailable) Error() string {
	return "live capture is unavailable: " + u.Why + "; " + u.Help
}

func (u *Unavailable) Unwrap() error { return u.Err }
