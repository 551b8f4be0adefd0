package server

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"time"

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
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request) {
	q := readParameters(r)
	if q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	var after store.Snapshot
	if v := r.Header.Get("Last-Event-ID"); v != "" {
		var err error
		if after, err = store.ParseSnapshot(v); err != nil {
			s.refuse(w, r, problemf(http.StatusBadRequest, "bad_event_id", "Last-Event-ID: %v", err))
			return
		}
	}
	ctx, cancel := queryContext(r)
	sub, begin, err := s.feed.subscribe(ctx, after)
	cancel()
	if err != nil {
		if p := (*refusal)(nil); errors.As(err, &p) && p.Status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "30")
		}
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
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
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
