package replay

import (
	"context"
	"fmt"
	"io"

	"riposte/agent/capture"
	"riposte/agent/enrich"
	"riposte/agent/event"
)

// Recorder is a Source that also writes down what passes.
type Recorder struct {
	capture.Source
	w     io.Writer
	table *enrich.Table
	keep  func(*event.Event) bool
	known map[uint64]bool
	err   error
}

// Record wraps a source. The table is the one that the source's events are applied
// to, and must have its snapshot before Run. keep chooses the events; nil keeps all.
// With a choice, the processes that ran before are left out of the file.
func Record(src capture.Source, table *enrich.Table, w io.Writer, keep func(*event.Event) bool) *Recorder {
	return &Recorder{Source: src, w: w, table: table, keep: keep, known: map[uint64]bool{}}
}

// Run runs the source and returns its error, or the first one of writing.
func (r *Recorder) Run(ctx context.Context, handle func(*event.Event)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.begin()
	err := r.Source.Run(ctx, func(e *event.Event) {
		handle(e)
		// Only now the cgroups of the event are known.
		if e.Type != event.Unknown && (r.keep == nil || r.keep(e)) {
			r.write(e)
		}
		if r.err != nil {
			cancel()
		}
	})
	if err == nil {
		err = r.err
	}
	return err
}

func (r *Recorder) begin() {
	first := &enrich.Recording{}
	if r.keep == nil {
		first = r.table.Record()
	}
	for id := range first.Cgroups {
		r.known[id] = true
	}
	text, err := encodeHeader(first)
	r.put(text, err)
}

func (r *Recorder) write(e *event.Event) {
	r.cgroup(e.Task.CgroupID)
	if e.Fork != nil {
		r.cgroup(e.Fork.CgroupID)
	}
	r.put(encodeEvent(e))
}

// cgroup writes a path before the first event that needs it.
func (r *Recorder) cgroup(id uint64) {
	if r.known[id] {
		return
	}
	path, ok := r.table.CgroupPath(id)
	if !ok {
		return
	}
	r.known[id] = true
	text, err := encodeCgroup(id, path)
	r.put(text, err)
	// The container's own directory, where the process is in one below it.
	if dir := r.table.ContainerDir(id); dir != 0 {
		r.cgroup(dir)
	}
}

func (r *Recorder) put(text []byte, err error) {
	if r.err != nil {
		return
	}
	if err == nil {
		_, err = r.w.Write(append(text, '\n'))
	}
	if err != nil {
		r.err = fmt.Errorf("recording: %w", err)
	}
}
