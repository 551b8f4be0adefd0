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
	"time"

	"riposte/responder/api"
)

// maxRecorded bounds one line of the export: an alert with the inputs of all
// playbooks that were asked about it, each of a megabyte at most.
const maxRecorded = 64 << 20

// DecisionFilter chooses the alerts of an export; zero fields choose all.
type DecisionFilter struct {
	// Since is the oldest receipt.
	Since time.Time
	// Playbook leaves out alerts about which it was not asked, and the others' decisions.
	Playbook string
	// Alert is one alert's id, or its last twelve digits.
	Alert string
}

// Decisions yields the lines of the export of decisions, each the JSON of an
// api.Recorded, the oldest first. The lines are the caller's to keep and to decode,
// which takes longer than reading them. It ends after the first error; an export that
// breaks off is one.
func (c *Client) Decisions(ctx context.Context, f DecisionFilter) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		err := c.decisions(ctx, f, func(line []byte) bool { return yield(line, nil) })
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

func (c *Client) decisions(ctx context.Context, f DecisionFilter, tell func([]byte) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the server's work if the caller has enough
	q := values("since", stamp(f.Since), "playbook", f.Playbook, "alert", f.Alert)
	req, err := c.request(ctx, http.MethodGet, "decisions/export", q, nil)
	if err != nil {
		return err
	}
	res, err := c.events.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return problem(res)
	}
	in := bufio.NewReaderSize(res.Body, 256<<10)
	for {
		line, err := readLine(in)
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the export of %s broke off: its last line is missing", c.base)
		case err != nil:
			return fmt.Errorf("read the export of %s: %w", c.base, err)
		case bytes.HasPrefix(line, []byte(`{"end":`)):
			var end api.RecordedEnd
			if err := json.Unmarshal(line, &end); err != nil || !end.End {
				return fmt.Errorf("the export of %s ends with %.60q", c.base, line)
			}
			_, _ = in.Peek(1) // the body's end: the server is done, and free for another export
			return nil
		case !tell(line):
			return errEnough
		}
	}
}

// readLine reads one line without its end.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxRecorded:
			return nil, fmt.Errorf("a line has more than %d bytes", maxRecorded)
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return nil, err
		default:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		}
	}
}
