// Package client speaks the responder's HTTP API. The command line and the
// drill use it.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"riposte/responder/api"
	"riposte/responder/selector"
)

// maxAnswer bounds one answer: a full page of the largest alerts is far below it.
const maxAnswer = 256 << 20

// Client is safe for use by several goroutines.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
	// events has no limit on the time of one answer.
	events *http.Client
}

// ErrUnreachable says that nobody answered at the server's address.
var ErrUnreachable = errors.New("no answer")

// Error is an answer of the API that is no success.
type Error struct {
	Status int
	// Code is stable, see api.Problem.
	Code   string
	Detail string
}

func (e *Error) Error() string {
	if e.Detail != "" {
		return e.Detail
	}
	return fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
}

// New makes a client of the API at server, such as "http://127.0.0.1:7411".
// It does not connect yet.
func New(server, token string) (*Client, error) { return NewTLS(server, token, TLS{}) }

// TLS names PEM files: CA is the authority of the server's certificate, empty for the
// system's; Cert and Key are the client's own, empty for none.
type TLS struct{ CA, Cert, Key string }

// NewTLS is New with certificates.
func NewTLS(server, token string, t TLS) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(server, "/"))
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("server %q is no address such as http://127.0.0.1:7411", server)
	}
	if token == "" {
		return nil, errors.New("the token is empty")
	}
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		TLSClientConfig:       config,
		ForceAttemptHTTP2:     true, // which a TLSClientConfig turns off
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       30 * time.Second,
	}
	// A redirect would carry the token to a place that nobody named.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base: base, token: token,
		http:   &http.Client{Transport: transport, Timeout: 5 * time.Minute, CheckRedirect: stay},
		events: &http.Client{Transport: transport, CheckRedirect: stay},
	}, nil
}

// Server is the address that the client was made with.
func (c *Client) Server() string { return c.base.String() }

// Close gives up idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// AlertFilter chooses alerts; zero fields choose all.
type AlertFilter struct {
	Rule string
	// Priority is the least severe priority that is still shown, by name.
	Priority  string
	Node      string
	Namespace string
	// Container is a container's id or the beginning of it.
	Container string
	// Selector is what the labels of the alert's pod were like then.
	Selector selector.Selector
	Since    time.Time
	// Limit is 1 to 500, 0 for the server's default; Before is a Page's Next.
	Limit  int
	Before string
}

// Alerts returns one page of alerts, newest first.
func (c *Client) Alerts(ctx context.Context, f AlertFilter) (p api.Page[api.Alert], err error) {
	return p, c.get(ctx, "alerts", values("rule", f.Rule, "priority", f.Priority, "node", f.Node, "namespace", f.Namespace,
		"container", f.Container, "selector", f.Selector.String(), "since", stamp(f.Since), "limit", number(f.Limit), "before", f.Before), &p)
}

// Alert returns one alert by its id, or by its id's last twelve digits.
func (c *Client) Alert(ctx context.Context, id string) (a api.Alert, err error) {
	return a, c.get(ctx, "alerts/"+url.PathEscape(id), nil, &a)
}

// ActionFilter chooses actions; zero fields choose all.
type ActionFilter struct {
	State     string
	Type      string
	Playbook  string
	Alert     string
	Container string
	// Namespace is the alert's or the target's.
	Namespace string
	// Selector is what the labels of the alert's pod were like then.
	Selector selector.Selector
	Since    time.Time
	Limit    int
	Before   string
}

// Actions returns one page of actions, newest first.
func (c *Client) Actions(ctx context.Context, f ActionFilter) (p api.Page[api.Action], err error) {
	return p, c.get(ctx, "actions", values("state", f.State, "type", f.Type, "playbook", f.Playbook, "alert", f.Alert,
		"container", f.Container, "namespace", f.Namespace, "selector", f.Selector.String(), "since", stamp(f.Since), "limit", number(f.Limit), "before", f.Before), &p)
}

// Action returns one action by its id, or by its id's last twelve digits.
func (c *Client) Action(ctx context.Context, id string) (a api.Action, err error) {
	return a, c.get(ctx, "actions/"+url.PathEscape(id), nil, &a)
}

// Timeline returns how long each stage of an action took.
func (c *Client) Timeline(ctx context.Context, id string) (t api.Timeline, err error) {
	return t, c.get(ctx, "actions/"+url.PathEscape(id)+"/timeline", nil, &t)
}

// Lift has an action's effect lifted as soon as possible.
func (c *Client) Lift(ctx context.Context, id, reason string) (a api.Action, err error) {
	return a, c.send(ctx, "actions/"+url.PathEscape(id)+"/lift", api.Reason{Reason: reason}, &a)
}

// Cancel ends a planned action before it is begun.
func (c *Client) Cancel(ctx context.Context, id, reason string) (a api.Action, err error) {
	return a, c.send(ctx, "actions/"+url.PathEscape(id)+"/cancel", api.Reason{Reason: reason}, &a)
}

// Approvals returns one page of what waits for people, newest first.
func (c *Client) Approvals(ctx context.Context, limit int, before string) (p api.Page[api.Approval], err error) {
	return p, c.get(ctx, "approvals", values("limit", number(limit), "before", before), &p)
}

// Approval returns what people were asked about one action.
func (c *Client) Approval(ctx context.Context, id string) (a api.Approval, err error) {
	return a, c.get(ctx, "actions/"+url.PathEscape(id)+"/approval", nil, &a)
}

// Answer agrees to a waiting action or rejects it, in the name of the token's owner.
func (c *Client) Answer(ctx context.Context, id string, agree bool, comment string) (a api.Approval, err error) {
	verb := "/reject"
	if agree {
		verb = "/approve"
	}
	return a, c.send(ctx, "actions/"+url.PathEscape(id)+verb, api.Comment{Comment: comment}, &a)
}

// Playbooks returns the loaded playbooks with their modes.
func (c *Client) Playbooks(ctx context.Context) ([]api.PlaybookStatus, error) {
	var p api.Page[api.PlaybookStatus]
	err := c.get(ctx, "playbooks", nil, &p)
	return p.Items, err
}

// Playbook returns one with its mode.
func (c *Client) Playbook(ctx context.Context, name string) (p api.PlaybookStatus, err error) {
	return p, c.get(ctx, "playbooks/"+url.PathEscape(name), nil, &p)
}

// PlaybookSource returns a playbook's files.
func (c *Client) PlaybookSource(ctx context.Context, name string) (p api.PlaybookSource, err error) {
	return p, c.get(ctx, "playbooks/"+url.PathEscape(name)+"/source", nil, &p)
}

// PlaybookCoverage returns how much of a playbook its tests evaluate.
func (c *Client) PlaybookCoverage(ctx context.Context, name string) (p api.PlaybookCoverage, err error) {
	return p, c.get(ctx, "playbooks/"+url.PathEscape(name)+"/coverage", nil, &p)
}

// SetMode sets a playbook's mode.
func (c *Client) SetMode(ctx context.Context, name string, m api.Mode) (p api.PlaybookStatus, err error) {
	return p, c.do(ctx, http.MethodPut, "playbooks/"+url.PathEscape(name)+"/mode", nil, m, &p)
}

// Budgets returns what the guard's budgets have used, the fullest first.
func (c *Client) Budgets(ctx context.Context) ([]api.Budget, error) {
	var p api.Page[api.Budget]
	err := c.get(ctx, "guard/budgets", nil, &p)
	return p.Items, err
}

// Status returns one look at everything.
func (c *Client) Status(ctx context.Context) (s api.Status, err error) {
	return s, c.get(ctx, "status", nil, &s)
}

// KillSwitch returns whether effects are stopped.
func (c *Client) KillSwitch(ctx context.Context) (k api.KillSwitch, err error) {
	return k, c.get(ctx, "guard/kill-switch", nil, &k)
}

// SetKillSwitch stops effects, or lets them happen again.
func (c *Client) SetKillSwitch(ctx context.Context, k api.KillSwitch) (set api.KillSwitch, err error) {
	change := api.KillSwitchChange{On: &k.On, Scope: k.Scope, Name: k.Name, Reason: k.Reason}
	return set, c.do(ctx, http.MethodPut, "guard/kill-switch", nil, change, &set)
}

// send posts a body and reads the answer.
func (c *Client) send(ctx context.Context, path string, body, into any) error {
	return c.do(ctx, http.MethodPost, path, nil, body, into)
}

func (c *Client) get(ctx context.Context, path string, q url.Values, into any) error {
	return c.do(ctx, http.MethodGet, path, q, nil, into)
}

func (c *Client) do(ctx context.Context, method, path string, q url.Values, body, into any) error {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return err
		}
	}
	key := ""
	if method == http.MethodPost && path != tokensPath {
		key = rand.Text()
	}
	err := c.once(ctx, method, path, q, sent, key, into)
	if key != "" && broken(err) && ctx.Err() == nil {
		// Whether it was done nobody knows; with the same key it is not done twice.
		err = c.once(ctx, method, path, q, sent, key, into)
	}
	return err
}

// broken says that a request may have arrived and its answer did not.
func broken(err error) bool {
	var op *net.OpError
	return errors.Is(err, ErrUnreachable) && (!errors.As(err, &op) || op.Op != "dial")
}

func (c *Client) once(ctx context.Context, method, path string, q url.Values, body []byte, key string, into any) error {
	var send io.Reader
	if body != nil {
		send = bytes.NewReader(body)
	}
	req, err := c.request(ctx, method, path, q, send)
	if err != nil {
		return err
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return problem(res)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s is no riposte: its answer to %s is not the expected JSON: %w", c.base, req.URL.Path, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path string, q url.Values, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+"/api/v1/"+path, body)
	if err != nil {
		return nil, err
	}
	req.URL.RawQuery = q.Encode()
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// unreachable keeps the caller's own cancelling apart from a server that is away.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // the address is said once
	}
	return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.base, err)
}

func problem(res *http.Response) error {
	e := &Error{Status: res.StatusCode}
	b, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return e
	}
	var p api.Problem
	if json.Unmarshal(b, &p) == nil {
		e.Code, e.Detail = p.Code, p.Detail
		if e.Detail == "" {
			e.Detail = p.Title
		}
	}
	return e
}

// values makes a query of the pairs whose value is not empty.
func values(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
