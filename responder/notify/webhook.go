// Package notify delivers to the places that the configuration names: nothing else
// in Riposte opens a connection to an address that an event or a playbook could
// have a say in.
//
// Each delivery is a POST of a JSON document with these headers:
//
//	Riposte-Delivery   the action's id: the same when a delivery is repeated
//	Riposte-Timestamp  seconds since 1970 of this try
//	Riposte-Signature  sha256= and, in hexadecimal, the HMAC-SHA-256 under the
//	                   shared secret of the timestamp, a full stop and the body
//
// A redirect is not followed, and of an answer only the beginning is read.
package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"riposte/responder/action"
)

// Headers of a delivery.
const (
	HeaderDelivery  = "Riposte-Delivery"
	HeaderTimestamp = "Riposte-Timestamp"
	HeaderSignature = "Riposte-Signature"
)

// Bounds of a delivery. Of an answer only the beginning is read, for the error.
const (
	MaxBody   = 64 << 10
	maxAnswer = 512
	timeout   = 10 * time.Second
)

// Destination is one configured place.
type Destination struct {
	// URL is http or https.
	URL string
	// Secret is shared with the receiver, who tells by it that it is us.
	Secret []byte
}

// Webhooks delivers to destinations by their names. It is safe for concurrent use.
type Webhooks struct {
	to     map[string]Destination
	client *http.Client
	now    func() time.Time

	mu     sync.Mutex
	counts map[string]Count
}

// Count is how many tries to deliver to a destination it took, and did not take.
type Count struct{ OK, Failed uint64 }

// minSecret is the fewest bytes of a secret: sixteen random ones cannot be guessed.
const minSecret = 16

// New makes Webhooks. Its errors name the destination.
func New(to map[string]Destination) (*Webhooks, error) {
	for _, name := range slices.Sorted(maps.Keys(to)) {
		u, err := url.Parse(to[name].URL)
		switch {
		case err != nil:
			return nil, fmt.Errorf("webhook %q: its URL cannot be read", name) // the error would show the URL, which may hold a token
		case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
			return nil, fmt.Errorf("webhook %q: its URL must begin with https:// or http:// and name a host", name)
		case len(to[name].Secret) < minSecret:
			return nil, fmt.Errorf("webhook %q: its secret has %d bytes, at least %d are needed", name, len(to[name].Secret), minSecret)
		}
	}
	return &Webhooks{
		to: maps.Clone(to),
		client: &http.Client{
			Timeout: timeout,
			// A redirect could lead anywhere, and what we send is signed for one place.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:    time.Now,
		counts: map[string]Count{},
	}, nil
}

// Known is nil if there is a destination of this name, else an error that lists them.
func (w *Webhooks) Known(name string) error {
	if _, ok := w.to[name]; ok {
		return nil
	}
	if len(w.to) == 0 {
		return fmt.Errorf("no webhook is called %.60q: none is configured", name)
	}
	return fmt.Errorf("no webhook is called %.60q: there are %s", name, strings.Join(slices.Sorted(maps.Keys(w.to)), ", "))
}

// Counts are this process's tries by destination.
func (w *Webhooks) Counts() map[string]Count {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.counts)
}

// Send delivers body under the delivery's id. Its errors are of type *action.Error,
// but for those after which the receiver may have had the delivery all the same.
func (w *Webhooks) Send(ctx context.Context, name, id string, body []byte) error {
	d, ok := w.to[name]
	if !ok {
		return &action.Error{Kind: action.Permanent, Err: w.Known(name)}
	}
	err := w.send(ctx, d, name, id, body)
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counts[name]
	if err == nil {
		c.OK++
	} else {
		c.Failed++
	}
	w.counts[name] = c
	return err
}

func (w *Webhooks) send(ctx context.Context, d Destination, name, id string, body []byte) error {
	if len(body) > MaxBody {
		return &action.Error{Kind: action.Permanent, Err: fmt.Errorf("webhook %s: the delivery has %d bytes, %d are allowed", name, len(body), MaxBody)}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(body))
	if err != nil {
		return &action.Error{Kind: action.Permanent, Err: fmt.Errorf("webhook %s: its URL cannot be used", name)}
	}
	stamp := strconv.FormatInt(w.now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "riposte")
	request.Header.Set(HeaderDelivery, id)
	request.Header.Set(HeaderTimestamp, stamp)
	request.Header.Set(HeaderSignature, Sign(d.Secret, stamp, body))
	answer, err := w.client.Do(request)
	if err != nil {
		// The client's error shows the URL, which may hold a token.
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return fmt.Errorf("webhook %s: %w", name, err)
	}
	defer answer.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	return judge(name, answer.StatusCode, said)
}

// Sign is the signature's header value.
func Sign(secret []byte, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func judge(name string, status int, said []byte) error {
	kind := action.Permanent
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 300 && status < 400:
		return &action.Error{Kind: kind, Err: fmt.Errorf("webhook %s: it answers with a redirect (%d), which is not followed", name, status)}
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		kind = action.Retryable
	}
	return &action.Error{Kind: kind, Err: fmt.Errorf("webhook %s: status %d: %q", name, status, said)}
}
