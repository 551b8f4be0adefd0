// Package replay is a capture.Source that reads a recording in place of the kernel,
// and the Recorder that makes one.
//
// A recording is JSON lines. The first says what the file is and what the recorded
// machine looked like: the paths of its cgroups and the processes that ran. Each other
// line is an event, or a cgroup that came later. Zero values are left out.
//
// On replay the times are moved to now. The distance between two events is kept, up to
// a limit, so that a recording with a long pause does not take long.
package replay

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"time"

	"riposte/agent/capture"
	"riposte/agent/enrich"
	"riposte/agent/event"
)

const (
	defaultMaxGap = 250 * time.Millisecond
	maxLine       = 1 << 20
	// maxLines bounds what is kept in memory.
	maxLines = 1 << 20
)

//go:embed drill.jsonl
var drill []byte

// Options of Open.
type Options struct {
	// MaxGap limits the pause between two events. Default 250 ms.
	MaxGap time.Duration
	// Instant hands over all events at once; their times still differ as recorded.
	Instant bool
}

// Source replays one recording, once.
type Source struct {
	o         Options
	recording *enrich.Recording
	events    []numbered
	clock     *shift
	stop      context.CancelFunc
	stopped   context.Context
}

var _ capture.Source = (*Source)(nil)

// numbered is an event with its line in the file.
type numbered struct {
	line int
	e    event.Event
}

// Drill is the embedded recording: in a container, a shell on a terminal reads
// /etc/shadow.
func Drill(o Options) (*Source, error) { return Open(bytes.NewReader(drill), o) }

// Open reads a whole recording and checks it. Errors name the line.
func Open(r io.Reader, o Options) (*Source, error) {
	if o.MaxGap <= 0 {
		o.MaxGap = defaultMaxGap
	}
	s := &Source{o: o}
	s.stopped, s.stop = context.WithCancel(context.Background())
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	n := 0
	for lines.Scan() {
		n++
		if n > maxLines {
			return nil, fmt.Errorf("recording: more than %d lines", maxLines)
		}
		if err := s.line(n, lines.Bytes()); err != nil {
			return nil, fmt.Errorf("recording: line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("recording: line %d: %w", n+1, err)
	}
	if s.recording == nil {
		return nil, fmt.Errorf("recording: line 1: the file is empty; a recording begins with {%q: %d}", headerKey, Version)
	}
	return s, nil
}

// Recording is what enrich needs to know of the recorded machine, with its times
// moved as those of the events will be.
func (s *Source) Recording() *enrich.Recording {
	s.begin()
	moved := &enrich.Recording{Cgroups: s.recording.Cgroups}
	for _, p := range s.recording.Processes {
		p.Process.StartNS = s.clock.start(p.Process.StartNS)
		moved.Processes = append(moved.Processes, p)
	}
	return moved
}

// Name is "recorded".
func (s *Source) Name() string { return "recorded" }

// Run hands over the events in the recorded rhythm.
func (s *Source) Run(ctx context.Context, handle func(*event.Event)) error {
	s.begin()
	for i := range s.events {
		e := s.events[i].e
		s.clock.event(&e)
		if !s.wait(ctx, e.KernelNS) {
			return nil
		}
		e.Num = uint64(i + 1)
		e.Recorded = true
		handle(&e)
	}
	return nil
}

// begin fixes the moment that the recording's first event is moved to.
func (s *Source) begin() {
	if s.clock != nil {
		return
	}
	var first event.Event
	if len(s.events) > 0 {
		first = s.events[0].e
	}
	s.clock = newShift(first.KernelNS, bootNow(), time.Now(), uint64(s.o.MaxGap))
}

// wait sleeps until the moment since boot; false when it is to stop.
func (s *Source) wait(ctx context.Context, until uint64) bool {
	if now := bootNow(); !s.o.Instant && until > now {
		timer := time.NewTimer(time.Duration(until - now))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-s.stopped.Done():
		}
	}
	return ctx.Err() == nil && s.stopped.Err() == nil
}

// Lost is empty: a recording loses nothing.
func (s *Source) Lost() map[string]uint64 { return map[string]uint64{} }

// Close ends Run.
func (s *Source) Close() error {
	s.stop()
	return nil
}
