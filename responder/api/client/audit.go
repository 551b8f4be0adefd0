package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"riposte/responder/api"
)

const ndjson = "application/x-ndjson"

// Verify has the responder check every chain of the record. That the record is
// bad is in the answer, not an error.
func (c *Client) Verify(ctx context.Context) (api.Verification, error) {
	return c.VerifyTold(ctx, func(int64) {})
}

// VerifyTold is Verify that tells now and then how many entries were read.
func (c *Client) VerifyTold(ctx context.Context, progress func(read int64)) (v api.Verification, err error) {
	res, err := c.lines(ctx, "audit/verify", nil)
	if err != nil {
		return v, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		var l struct {
			api.Verification
			Read   *int64 `json:"read"`
			Status int    `json:"status"`
			Title  string `json:"title"`
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return v, fmt.Errorf("%s is no riposte: %w", c.base, err)
		}
		switch {
		case l.Status != 0:
			return v, errors.New(l.Title)
		case l.Read == nil:
			return l.Verification, nil
		}
		progress(*l.Read)
	}
	if err := lines.Err(); err != nil {
		return v, fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	return v, fmt.Errorf("read the answer of %s: %w", c.base, io.ErrUnexpectedEOF)
}

// ExportPart is a part of the record; the zero one is all of it.
type ExportPart struct {
	// Cluster is whose chain, empty for all.
	Cluster string
	// After leaves out the entries up to this number, To those after it; 0 for none. With
	// After there are no heads and checkpoints.
	After, To int64
}

// Export opens the record as lines of JSON, see docs/audit.md. One that breaks off ends
// with an error.
func (c *Client) Export(ctx context.Context, p ExportPart) (io.ReadCloser, error) {
	whole := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	res, err := c.lines(ctx, "audit/export", values("cluster", p.Cluster, "after", whole(p.After), "to", whole(p.To)))
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Redact erases one value of one entry of the record, for good.
func (c *Client) Redact(ctx context.Context, r api.Redaction) error {
	var done api.Redaction
	return c.send(ctx, "audit/redactions", r, &done)
}

// lines asks for an answer that takes long and is read as it comes.
func (c *Client) lines(ctx context.Context, path string, q url.Values) (*http.Response, error) {
	req, err := c.request(ctx, http.MethodGet, path, q, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", ndjson)
	res, err := c.events.Do(req) // no bound on the whole; the context is one
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if res.StatusCode != http.StatusOK {
		defer res.Body.Close()
		return nil, problem(res)
	}
	return res, nil
}
