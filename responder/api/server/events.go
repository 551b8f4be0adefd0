package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"riposte/responder/api/access"
	"riposte/responder/store"
)

// Times of the event stream.
const (
	// heartbeat keeps proxies from closing a quiet stream and shows a dead reader.
	heartbeat = 15 * time.Second
	// writeEvent is how long one write may take.
	writeEvent = 10 * time.Second
)

// streamEvents answers with server-sent events until the reader leaves.
func (s *Server) streamEvents(w http.ResponseWriter, c *call) {
	r := c.Request
	var after store.Snapshot
	if v := r.Header.Get("Last-Event-ID"); v != "" {
		var err error
		if after, err = store.ParseSnapshot(v); err != nil {
			s.refuse(w, r, problemf("bad_event_id", "Last-Event-ID: %v", err))
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	sub, begin, err := s.feed.subscribe(ctx, c.in, after)
	cancel()
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	defer s.feed.unsubscribe(sub)

	out := stream{w: w, control: http.NewResponseController(w)}
	_ = out.control.SetReadDeadline(time.Time{}) // the reader says nothing more; a deadline would end it
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // or nginx holds events back
	w.WriteHeader(http.StatusOK)
	for _, m := range begin {
		if out.send(m) != nil {
			return
		}
	}
	beat := time.NewTicker(s.beat)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			// A stream must not outlive the token that opened it, nor what it was allowed.
			if who, err := s.authenticate(r); err != nil || fmt.Sprintf("%q", who.Scope(access.Viewer)) != fmt.Sprintf("%q", c.in) {
				return
			}
			if err := out.write([]byte(": still here\n\n")); err != nil {
				return
			}
		case m, open := <-sub.messages:
			if !open {
				return
			}
			if err := out.send(m); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					s.feed.dropped.Add(1) // as slow as one whose queue is full
				}
				return
			}
		}
	}
}

// stream writes and flushes; an error means that the reader has gone or is too slow.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     bytes.Buffer
}

func (o *stream) send(m message) error {
	// One line of data: encoded JSON has no line breaks.
	o.buf.Reset()
	o.buf.WriteString("id: " + string(m.id) + "\nevent: " + m.name + "\ndata: ")
	o.buf.Write(m.data)
	o.buf.WriteString("\n\n")
	return o.write(o.buf.Bytes())
}

func (o *stream) write(b []byte) error {
	_ = o.control.SetWriteDeadline(time.Now().Add(writeEvent))
	if _, err := o.w.Write(b); err != nil {
		return err
	}
	return o.control.Flush()
}
