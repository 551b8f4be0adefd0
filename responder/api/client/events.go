package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"riposte/responder/api"
)

// maxEvent bounds one line of the stream: an alert is at most 256 KiB, an
// escape can make six bytes of one, and the body stands next to the columns.
const maxEvent = 4 << 20

// silence is how long a stream may say nothing before it counts as broken; the
// server sends a comment every 15 s.
const silence = 45 * time.Second

// Event is one message of the stream.
type Event struct {
	// ID is what to resume after.
	ID string
	// Name is one of api.EventReady and its neighbours.
	Name string
	Data json.RawMessage
}

// Alert decodes the data of an api.EventAlert.
func (e Event) Alert() (a api.Alert, err error) { return a, json.Unmarshal(e.Data, &a) }

// Action decodes the data of an api.EventAction.
func (e Event) Action() (a api.Action, err error) { return a, json.Unmarshal(e.Data, &a) }

// Audit decodes the data of an api.EventAudit.
func (e Event) Audit() (a api.AuditEntry, err error) { return a, json.Unmarshal(e.Data, &a) }

// Events yields what is committed from now on, or after the event with id
// after, if that is not empty. When the connection breaks it yields the error
// and, if the caller goes on, connects again and resumes, so that nothing is
// missed; an event may come twice. It ends when ctx does, and after an error
// that connecting again cannot mend.
func (c *Client) Events(ctx context.Context, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		const first, longest = 250 * time.Millisecond, 5 * time.Second
		wait := first
		for {
			err := c.stream(ctx, after, func(e Event) bool {
				wait = first
				if e.ID != "" {
					after = e.ID
				}
				return yield(e, nil)
			})
			switch {
			case errors.Is(err, errEnough) || ctx.Err() != nil:
				return
			case !yield(Event{}, err) || !mendable(err):
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			wait = min(2*wait, longest)
		}
	}
}

// errEnough: the caller stopped the iteration.
var errEnough = errors.New("enough")

func mendable(err error) bool {
	var e *Error
	return !errors.As(err, &e) || e.Status >= 500
}

// stream reads one connection's events until it breaks.
func (c *Client) stream(ctx context.Context, after string, got func(Event) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(silence, func() { cancel(fmt.Errorf("%s was silent for %s", c.base, silence)) })
	defer quiet.Stop()

	req, err := c.request(ctx, http.MethodGet, "events", nil, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	res, err := c.events.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return problem(res)
	}
	if t := res.Header.Get("Content-Type"); !strings.HasPrefix(t, "text/event-stream") {
		return &Error{Status: res.StatusCode, Detail: fmt.Sprintf("%s is no riposte: it answers the event stream with %q", c.base, t)}
	}
	err = readEvents(res.Body, func() { quiet.Reset(silence) }, got)
	if errors.Is(err, errEnough) {
		return err
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("the event stream of %s broke: %w", c.base, err)
}

// readEvents decodes server-sent events; alive is called for each line.
func readEvents(r io.Reader, alive func(), got func(Event) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	var e Event
	var data [][]byte
	for lines.Scan() {
		alive()
		line := lines.Bytes()
		if len(line) == 0 {
			if len(data) > 0 {
				e.Data = bytes.Join(data, []byte("\n"))
				if !got(e) {
					return errEnough
				}
			}
			e, data = Event{}, nil
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "id":
			e.ID = string(value)
		case "event":
			e.Name = string(value)
		case "data":
			data = append(data, bytes.Clone(value))
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
