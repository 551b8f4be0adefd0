package responder

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"riposte/responder/action"
	"riposte/responder/api/access"
	"riposte/responder/api/server"
	"riposte/responder/audit"
	"riposte/responder/bus"
	"riposte/responder/execute"
	"riposte/responder/figures"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/intake"
	"riposte/responder/kube"
	"riposte/responder/notify"
	"riposte/responder/playbook"
	"riposte/responder/playbook/bundle"
	"riposte/responder/store"
)

// stopTime bounds Stop where its caller does not.
const stopTime = 10 * time.Second

// Responder is one replica. It starts and stops once.
type Responder struct {
	o         Options
	secrets   secrets
	playbooks *playbook.Holder
	// undoable are the types of actions that can be lifted.
	undoable []string
	remote   *bundle.Remote // nil unless a bundle is fetched
	guard    *guard.Guard
	webhooks *notify.Webhooks
	signer   *audit.Signer // nil without a key

	// intake is nil if nobody may send alerts over HTTP.
	intake *intake.Identities

	// The parts, in the order of their start; of a port nobody took, the listener is nil.
	apiPort, metricsPort net.Listener
	store                *store.Store
	bus                  *bus.Bus
	binder               *kube.Binder // nil without a cluster, and so are places and review
	review               access.Review
	places               *kube.Places
	actions              action.Registry
	ready                *readiness
	// ingest is what every way in needs, redrive the way for dead letters.
	ingest  ingest.Options
	redrive func(ctx context.Context, id, actor, reason string) error
	api     *server.Server

	// observers are told what happens; counts are the parts' own numbers.
	observers observers
	counts    struct {
		ingest            map[string]figures.Counts
		intake, immediate figures.Counts
		execute           func() execute.Stats
		pruned            struct{ actions, incidents atomic.Uint64 }
	}

	addr, intakeAddr, metricsAddr string

	mu       sync.Mutex
	started  bool
	cleanups cleanups
	failed   chan error
}

// New checks the options and reads every file that they name: keys, token,
// playbooks. Nothing is started, and nothing has to be stopped.
func New(o Options) (*Responder, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Responder{o: o, failed: make(chan error, 1)}
	r.counts.ingest = map[string]figures.Counts{}
	if r.secrets, err = readSecrets(o); err != nil {
		return nil, err
	}
	if r.webhooks, err = readWebhooks(o.WebhooksFile); err != nil {
		return nil, err
	}
	if o.IntakeIdentities != "" {
		if r.intake, err = intake.ReadIdentities(o.IntakeIdentities); err != nil {
			return nil, err
		}
	}
	sources, remote, err := playbookSources(o)
	if err != nil {
		return nil, err
	}
	r.remote = remote
	if r.playbooks, err = playbook.NewHolder(playbook.Options{}, sources...); err != nil {
		return nil, fmt.Errorf("load the playbooks: %w", err)
	}
	if r.guard, err = newGuard(o); err != nil {
		return nil, err
	}
	return r, nil
}

// Start returns when everything works; ctx bounds the start alone. After an
// error nothing is left running.
func (r *Responder) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started {
		return errors.New("the responder was started before")
	}
	r.started = true
	if err := r.start(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		return errors.Join(oneLine{err}, r.cleanups.run(stop))
	}
	return nil
}

// report hands a part's own end to whoever waits at Failed.
func (r *Responder) report(ctx context.Context, what string, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	select {
	case r.failed <- fmt.Errorf("%s: %w", what, err):
	default: // the first cause is the one that matters
	}
}

// Addr is the address that the API listens on, once Start has returned.
func (r *Responder) Addr() string { return r.addr }

// Failed yields an error when a part ends by itself; Stop is still to be called.
func (r *Responder) Failed() <-chan error { return r.failed }

// Stop ends everything, last in first out, within ctx or ten seconds. It is safe
// to call twice and before Start.
func (r *Responder) Stop(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = true
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	return r.cleanups.run(ctx)
}
