package server

import (
	"context"
	"time"

	"riposte/responder/api/access"
	"riposte/responder/store"
)

// Endpoint is a route as the tests see it.
type Endpoint struct {
	Pattern, Name string
	Role          access.Role
	Open, Whole   bool
}

// Endpoints lists every route under /api/v1, and what is closed beside them.
func Endpoints(s *Server) []Endpoint {
	var all []Endpoint
	for _, e := range append(s.table(), s.other()...) {
		all = append(all, Endpoint{e.pattern, e.name, e.role, e.open, e.whole})
	}
	return all
}

// Bounds of the feed and of failures.
const (
	MaxQueued      = maxQueued
	MaxSubscribers = maxSubscribers
	FailureBurst   = failureBurst
	RequestBurst   = requestBurst
	AttemptBurst   = attemptBurst

	BurstsPerMinute = burstsPerMinute
)

// StopClock lets no time pass for the limits, so that a slow test sees what a fast
// one does. It is called before the first request.
func StopClock(s *Server) {
	now := time.Now()
	still := func() time.Time { return now }
	s.requests = access.NewLimiter(requestsPerSecond, requestBurst, still)
	s.failures = access.NewLimiter(failuresPerSecond, failureBurst, still)
	s.attempts = access.NewLimiter(attemptsPerSecond, attemptBurst, still)
	s.bursts = access.NewLimiter(burstsPerMinute/60.0, burstsPerMinute, still)
}

// At sets the time for sessions. It is called before the first request.
func At(s *Server, now time.Time) { s.sessions.now = func() time.Time { return now } }

// Unlimited lifts the limits of requests. It is called before the first.
func Unlimited(s *Server) {
	s.requests = access.NewLimiter(1e9, 1e9, time.Now)
	s.failures = access.NewLimiter(1e9, 1e9, time.Now)
}

// Beat sets how often a stream is looked at. It is called before the first request.
func Beat(s *Server, every time.Duration) { s.beat = every }

// Subscribe opens a stream that nobody reads until the caller does; open is false
// once the feed has sent it away.
func Subscribe(ctx context.Context, s *Server) (next func() (name string, open bool), err error) {
	sub, _, err := s.feed.subscribe(ctx, store.Everything(), "")
	if err != nil {
		return nil, err
	}
	return func() (string, bool) { m, open := <-sub.messages; return m.name, open }, nil
}

// Quote makes one word for a shell.
var Quote = quote
