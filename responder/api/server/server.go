// Package server is the responder's HTTP API: JSON under /api/v1, server-sent
// events, and the console. What it answers with stands in package api.
//
// Nothing but the health checks, the console's files and signing in is open.
// Requests carry a token, or a session cookie that was got with it; package access says
// whose it is and what they may do.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"riposte/responder/api/access"
	"riposte/responder/audit"
	"riposte/responder/guard"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/store"
)

// Options is what the API shows and changes. All fields but Backlog, Evidence, Access,
// Review and Console are needed.
type Options struct {
	Cluster string
	Version string
	Store   *store.Store
	// Guard judges, and keeps what people answer and set.
	Guard *guard.Guard
	// Redrive processes a dead letter again, see ingest.Ingest.Redrive.
	Redrive func(ctx context.Context, id, actor, reason string) error
	// Lift has an action's effect lifted, see execute.AskLift.
	Lift func(ctx context.Context, id, actor, reason string) error
	// Playbooks lists the loaded playbooks.
	Playbooks func() []*playbook.Playbook
	// Explain puts a recorded input to a playbook again as it was at a revision, or as it is
	// now if that is not there any more, and looks on.
	Explain func(ctx context.Context, playbook, revision string, input json.RawMessage) (playbook.Explanation, error)
	// Coverage says how much of a loaded playbook its tests evaluate, see playbook.Tester.
	Coverage func(ctx context.Context, playbook string) (playbook.Coverage, error)
	// Loads says how loading them went.
	Loads func() sandbox.Loads
	// Evidence is what the record is compared with, beside the database's checkpoints.
	// Without it, checkpoints are not looked at.
	Evidence func(ctx context.Context) (audit.Evidence, error)
	// Ready is the error of each part that the responder needs for its work, nil where it
	// works. It sees to the log.
	Ready func(ctx context.Context) map[string]error
	// Backlog is how many messages of the stream wait, and how many were taken and not yet
	// answered; nil where there is no stream.
	Backlog func(ctx context.Context) (waiting, unanswered uint64, err error)
	// Principals have tokens in files. The first is the responder's own.
	Principals []access.Principal
	// Access says who of an issuer or a cluster may do what, Review asks that cluster
	// whose a token is; both may be missing.
	Access access.Config
	Review access.Review
	// Console holds index.html and its assets; nil shows a line of text instead.
	Console fs.FS
	Log     *slog.Logger
}

// Server is the API on one listener.
type Server struct {
	Options
	verifier *access.Verifier
	sessions sessions
	sealer   sealer
	// requests bounds each principal's requests, failures each address's bad tokens and
	// each principal's refusals, attempts each address's sign-ins through the issuer,
	// bursts what refusals add to the record. good are tokens that were taken a short
	// time ago.
	requests, failures, attempts, bursts *access.Limiter
	good                                 *access.Good
	// beat is how often a quiet stream shows that it is there.
	beat time.Duration

	document func() ([]byte, error)
	feed     *feed
	http     *http.Server
	handler  http.Handler
	// verifying: the record is read once at a time.
	verifying sync.Mutex
	verified  verifications
	// exporting: one export of decisions at a time.
	exporting sync.Mutex
	// cancel ends the requests that are still there after Stop's time, done waits for
	// the feed and the server.
	cancel context.CancelFunc
	done   sync.WaitGroup
	stop   sync.Once
	// failed gets the error of a server that ended by itself.
	failed chan error
}

// Limits of one connection. The event stream and the verification set their own.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	queryTimeout      = 15 * time.Second
	verifyTimeout     = 4 * time.Minute
	maxHeaderBytes    = 16 << 10
	maxBodyBytes      = 16 << 10
)

// New makes a server that is not serving yet.
func New(o Options) *Server {
	verifier := access.NewVerifier(access.Options{
		Principals: o.Principals, Tokens: o.Store.TokenByHash, Config: o.Access, Review: o.Review,
	})
	s := &Server{
		Options:  o,
		verifier: verifier,
		sessions: newSessions(o.Principals, o.Store.Token, verifier),
		sealer:   newSealer(o.Principals[0].Token),
		requests: access.NewLimiter(requestsPerSecond, requestBurst, time.Now),
		failures: access.NewLimiter(failuresPerSecond, failureBurst, time.Now),
		attempts: access.NewLimiter(attemptsPerSecond, attemptBurst, time.Now),
		bursts:   access.NewLimiter(burstsPerMinute/60.0, burstsPerMinute, time.Now),
		good:     access.NewGood(time.Now),
		beat:     heartbeat,
		document: sync.OnceValues(Document),
		feed:     newFeed(o.Store, o.Log), failed: make(chan error, 1),
	}
	s.handler = s.routes()
	return s
}

// Handler serves everything; the events need Start too.
func (s *Server) Handler() http.Handler { return s.handler }

// Wrap puts something in front of all that is served: metrics, or a test's look at
// every answer. It is called before Start.
func (s *Server) Wrap(with func(http.Handler) http.Handler) { s.handler = with(s.handler) }

// Start serves on l until Stop. The listener is the caller's idea, so that a
// busy port shows before anything else is started; Stop closes it.
func (s *Server) Start(l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.http = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	s.done.Go(s.feed.run)
	s.done.Go(func() {
		if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve the API: %w", err)
		}
	})
}

// Failed tells when the server ended without Stop.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop ends the event streams, lets running requests finish until ctx ends, and
// cuts the rest. It is safe to call twice.
func (s *Server) Stop(ctx context.Context) (err error) {
	s.stop.Do(func() {
		if s.http == nil {
			return
		}
		// The streams first: Shutdown would wait for them, and they never end by themselves.
		s.feed.close()
		if err = s.http.Shutdown(ctx); err != nil {
			err = errors.Join(fmt.Errorf("finish the running requests: %w", err), s.http.Close())
		}
		s.cancel()
		s.done.Wait()
	})
	return err
}
