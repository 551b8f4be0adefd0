package responder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
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
	"riposte/responder/ingest/watch"
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

	// The parts, in the order of their start.
	store  *store.Store
	bus    *bus.Bus
	binder *kube.Binder // nil without a cluster, and so are places and review
	review access.Review
	places *kube.Places
	// ingest is what every way in needs, redrive the way for dead letters.
	ingest  ingest.Options
	redrive func(ctx context.Context, id, actor, reason string) error
	api     *server.Server
	ready   *readiness

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

// oneLine is an error on one line: the database's driver puts each address that
// it tried on a line of its own.
type oneLine struct{ error }

func (e oneLine) Error() string {
	return strings.Join(strings.FieldsFunc(strings.ReplaceAll(e.error.Error(), "\n\t", "; "), func(r rune) bool { return r == '\n' }), "; ")
}

// Unwrap returns the error as it was.
func (e oneLine) Unwrap() error { return e.error }

// start brings up the parts in the order in which they need each other.
//
//   - The ports first, because that another program has it is the likeliest
//     mistake, and it should cost nothing. They are served last.
//   - The traces before all that is told to them: they send what is left when
//     everything else has stopped.
//   - The guard before the executor, which asks it.
//   - The executor before the intake: what is decided finds somebody who does it,
//     and what an earlier process left is taken up before anything new comes.
//   - What stands before the intake: an agent's immediate containment is lifted or
//     confirmed by what comes in.
//   - The API last: who can ask gets answers.
//
// They stop in the reverse order: nobody asks any more, then nothing new comes
// in, then what was begun is finished, with bus, cluster and database still
// there for it.
func (r *Responder) start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.o.Listen)
	if err != nil {
		return fmt.Errorf("the API cannot listen on %s: %w", r.o.Listen, err)
	}
	r.addr = listener.Addr().String()
	r.cleanups.add("the listener", closing(listener))
	metrics, err := r.listenMetrics(ctx)
	if err != nil {
		return err
	}
	if err := r.startTraces(ctx); err != nil {
		return err
	}
	if err := r.startStore(ctx); err != nil {
		return err
	}
	if err := r.startBus(ctx); err != nil {
		return err
	}
	r.startSigner()
	actions, err := r.startActions(ctx)
	if err != nil {
		return err
	}
	r.observers.figures = figures.New(slices.Collect(maps.Keys(actions)))
	for kind := range actions {
		if actions.Undoable(kind) {
			r.undoable = append(r.undoable, kind)
		}
	}
	r.ready = r.newReadiness()
	if err := r.startGuard(ctx, actions); err != nil {
		return err
	}
	if err := r.startExecutor(ctx, actions); err != nil {
		return err
	}
	r.startStanding()
	r.startIntake(actions)
	if err := r.startHTTPIntake(ctx); err != nil {
		return err
	}
	r.startSources()
	r.startChores()
	r.startAPI(listener, actions)
	r.startMetrics(metrics)
	return nil
}

// closing closes a listener, unless its server has.
func closing(l net.Listener) func(context.Context) error {
	return func(context.Context) error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func (r *Responder) startStore(ctx context.Context) error {
	if err := r.migrate(ctx); err != nil {
		return err
	}
	s, err := store.Open(ctx, r.o.DatabaseURL)
	if err != nil {
		return err
	}
	r.store = s
	r.cleanups.add("the database", func(ctx context.Context) error { return within(ctx, s.Close) })
	if err := r.record(ctx, audit.Startup); err != nil {
		return err
	}
	r.cleanups.add("the record", func(ctx context.Context) error { return r.record(ctx, audit.Shutdown) })
	return nil
}

// record says in the record when this replica began and ended its work.
func (r *Responder) record(ctx context.Context, kind audit.Kind) error {
	e := audit.Entry{Cluster: r.o.Cluster, Kind: kind, Actor: audit.System("responder"), Note: "instance " + r.o.Instance + ", version " + r.o.Version}
	return r.store.InTx(ctx, func(tx store.Tx) error { return audit.Append(ctx, tx, e) })
}

func (r *Responder) startBus(ctx context.Context) error {
	b, err := bus.Connect(ctx, bus.Options{
		URL: r.o.NATS, Seed: r.secrets.natsSeed, OrderKey: r.secrets.orderKey, StreamReplicas: r.o.StreamReplicas, Log: r.o.Log.With("component", "bus"),
	})
	if err != nil {
		return err
	}
	r.bus = b
	r.cleanups.add("the bus", func(context.Context) error { b.Close(); return nil })
	return nil
}

// startActions registers what can be done. Without a cluster there are none of its
// actions, and a playbook that proposes one gets a refused action.
func (r *Responder) startActions(ctx context.Context) (action.Registry, error) {
	all := slices.Concat(nodeActions(r.bus), toldActions(r.o.Log, r.webhooks), ownActions(r.store))
	more, err := r.startCluster(ctx)
	if err != nil {
		return nil, err
	}
	return action.NewRegistry(append(all, more...)...), nil
}

func (r *Responder) startExecutor(ctx context.Context, actions action.Registry) error {
	e, err := execute.New(execute.Options{
		Pool: r.store.Pool(), Registry: actions, Gate: gate{r.guard}, Instance: r.o.Instance, Log: r.o.Log.With("component", "execute"),
		Observer: r.observers,
	})
	if err != nil {
		return err
	}
	r.counts.execute = e.Stats
	if err := e.Start(ctx); err != nil {
		return err
	}
	r.cleanups.add("the executor", e.Stop)
	return nil
}

func (r *Responder) startIntake(actions action.Registry) {
	log := r.o.Log.With("component", "ingest")
	lift := newLifter(log)
	r.counts.immediate = lift.counts
	r.cleanups.add("the lifting", background(func(ctx context.Context) { lift.run(ctx, r.bus) }))
	r.ingest = ingest.Options{
		Store: r.store, Playbooks: r.playbooks, Guard: r.guard, Actions: actions, Enqueue: execute.Enqueuer(actions), Lift: lift.put,
		Cluster: r.o.Cluster, Log: log, Window: r.o.IncidentWindow,
		Observer: r.observers,
	}
	if r.binder != nil { // a nil Binder in the interface would not be nil
		r.ingest.Binder, r.ingest.Places = r.binder, r.places
	}
	in := ingest.New(r.ingest)
	r.redrive, r.counts.ingest["bus"] = in.Redrive, in.Counts
	r.cleanups.add("the intake", background(func(ctx context.Context) {
		var both sync.WaitGroup
		both.Go(func() { r.report(ctx, "take alerts", r.bus.Alerts(ctx, ingest.Batch[*bus.Message](in))) })
		both.Go(func() { r.report(ctx, "hear heartbeats", r.bus.Heartbeats(ctx, in.Heartbeats)) })
		both.Wait()
	}))
	watching := watch.New(watch.Options{
		Store: r.store, Position: r.bus.Position, Hearing: r.bus.Hearing, SilentAfter: r.o.SilentAfter, Log: r.o.Log.With("component", "watch"),
	})
	r.cleanups.add("the watch of what does not come", background(watching.Run))
}

func (r *Responder) startAPI(listener net.Listener, actions action.Registry) {
	tester := playbook.NewTester(r.playbooks)
	r.cleanups.add("the playbooks' tests", background(tester.Run))
	r.api = server.New(server.Options{
		Cluster: r.o.Cluster, Version: r.o.Version, Store: r.store, Guard: r.guard, Redrive: r.redrive,
		Lift: func(ctx context.Context, id, actor, reason string) error {
			return execute.AskLift(ctx, r.store, actions, id, actor, reason)
		},
		Playbooks: r.playbooks.Playbooks, Explain: r.explain, Coverage: tester.Coverage, Loads: r.playbooks.Loads, Evidence: r.evidence, Ready: r.ready.parts, Backlog: r.bus.Backlog, Principals: r.secrets.principals, Access: r.secrets.access, Review: r.review, Console: r.o.Console, Log: r.o.Log.With("component", "api"),
	})
	r.api.Start(listener)
	r.cleanups.add("the API", r.api.Stop)
	r.cleanups.add("the watch of the API", background(func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case err := <-r.api.Failed():
			r.report(ctx, "serve the API", err)
		}
	}))
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
