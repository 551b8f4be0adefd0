// Package ingest takes alerts from the bus and makes them durable, together with
// all that follows from them.
//
// # The way of a message
//
//	check   size, JSON, and whether the alert is the node's whose subject it came on
//	bind    is the pod that it names known, and on that node?
//	read    already seen? which incident is open? what was done to the target before?
//	decide  every playbook's answer, and the guard's verdict on each proposal, on all processors
//	write   inbox, incident, alert, decisions, actions, jobs and audit entries in one transaction
//	ack     only when that transaction has committed
//
// Playbooks run before the transaction begins: no lock is held while they think.
// Messages that wait already share a transaction, up to bus.MaxBatch.
//
// # What can go wrong
//
// A message comes twice (the process died between commit and ack, or the broker
// repeats): the inbox has its origin, so it is acknowledged and nothing more. Two
// responders hold the same message: the inbox's primary key lets the second wait
// for the first.
//
// A message that can never be an alert is put aside at once (Rejection). One that
// passes the check and still cannot be stored is tried again alone, so that the
// rest of its batch is not held up, some more times later, and then put aside.
// Aside means: among the dead letters, with its reason and an entry in the audit
// record, where a person can look at it and drive it again. While the database
// cannot be reached every message waits; nothing is put aside because of that.
//
// A pod that nothing is known of is asked for; while the API server cannot say,
// the alert comes again a little later, and is unbound only after some tries.
//
// # What an agent cannot send
//
// An agent's message about alerts that it had to drop (alert.Loss) is stored, so
// that package watch does not wait for their numbers.
package ingest

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"riposte/agent/alert"
	"riposte/responder/action"
	"riposte/responder/guard"
	"riposte/responder/incident"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// Message is one delivery by the bus. It is answered exactly once.
type Message interface {
	Subject() string
	// ID is the publisher's message id.
	ID() string
	Data() []byte
	ReceivedAt() time.Time
	// Ack says that the message was dealt with for good.
	Ack() error
	// Nak asks for another delivery after delay.
	Nak(delay time.Duration) error
	// Term gives the message up.
	Term(reason string) error
}

// Binder knows which pod has a UID, and whether it is on the node that says so.
// An error says that this cannot be told now. As Playbooks, Guard and Checker it is
// asked about several alerts at once.
type Binder interface {
	Bind(node, uid string) (playbook.Binding, *playbook.Pod, error)
	// BindNamed is for alerts that no node vouches for: it finds the pod of that name
	// that was there at a time, and whose UID it is if one is given.
	BindNamed(namespace, name, uid string, at time.Time) (playbook.Binding, *playbook.Pod, error)
}

// Playbooks answers one input with the decisions of all playbooks that it triggers.
type Playbooks interface {
	Evaluate(ctx context.Context, in playbook.Input) []playbook.Decision
}

// Guard is the last gate before an action is planned.
type Guard interface {
	Judge(ctx context.Context, q guard.Question) guard.Verdict
	// Reserve counts what Judge lets happen, in the transaction that stored it.
	Reserve(ctx context.Context, tx store.Tx, all []guard.Proposed) (guard.Reserved, error)
}

// Checker refuses what an action could not work with, and knows which can be lifted
// and which leave nothing behind, see action.Registry.
type Checker interface {
	Check(kind string, target action.Target, params json.RawMessage) error
	Undoable(kind string) bool
	// Lease is how long the effect lasts that its node ends by itself.
	Lease(kind string, params json.RawMessage) (time.Duration, bool)
	Momentary(kind string) bool
}

// Enqueue has planned actions executed when tx commits, see execute.Enqueue.
type Enqueue func(ctx context.Context, tx store.Tx, actionIDs ...string) error

// Options are the parts that ingest needs. Those above Binder must be set.
type Options struct {
	Store     *store.Store
	Playbooks Playbooks
	Guard     Guard
	Actions   Checker
	Enqueue   Enqueue
	// Binder is nil without a cluster: every pod is unbound then.
	Binder Binder
	// Places is nil without a cluster: playbooks know the UIDs of no node and workload then.
	Places Places
	// Lift, if not nil, is told of each stored alert whose container an agent has
	// contained at once, if nothing is to be done about it. It must not wait.
	Lift func(a *alert.Alert)
	// Cluster is the cluster that Binder knows. Pods of another are unbound.
	Cluster string
	Log     *slog.Logger
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// ActionTTL is how long a planned action may wait for its execution, 5 minutes
	// if 0, and ApprovalTTL how long one may wait for a person, an hour if 0.
	ActionTTL, ApprovalTTL time.Duration
	// Window is how long an incident waits for its next alert, incident.DefaultWindow if 0.
	Window time.Duration
	// Tries is how often a message may fail by its own fault before it is put aside, 5 if 0.
	Tries int
	// Observer is told what becomes of alerts, nobody if nil.
	Observer Observer
}

// Ingest stores alerts. Handle may be called from one goroutine at a time.
type Ingest struct {
	Options
	counts counters
	// failures and asked count, by origin, the failures of a message by its own fault
	// and the times that its pod was asked for in vain.
	failures, asked tally
	runs            runs
	pause           time.Duration
}

// New returns an Ingest that is ready.
func New(o Options) *Ingest {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ActionTTL == 0 {
		o.ActionTTL = 5 * time.Minute
	}
	if o.ApprovalTTL == 0 {
		o.ApprovalTTL = time.Hour
	}
	if o.Window == 0 {
		o.Window = incident.DefaultWindow
	}
	if o.Tries == 0 {
		o.Tries = 5
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
	return &Ingest{Options: o, failures: tally{}, asked: tally{}}
}

// Batch is Handle for a bus with message type M.
func Batch[M Message](in *Ingest) func(context.Context, []M) {
	return func(ctx context.Context, batch []M) {
		all := make([]Message, len(batch))
		for i, m := range batch {
			all[i] = m
		}
		in.Handle(ctx, all)
	}
}

// arrival is one message on its way.
type arrival struct {
	Message
	alert   *alert.Alert
	origin  store.Origin
	binding playbook.Binding
	pod     *playbook.Pod
}

// Handle deals with a batch and answers each message. It returns when that is
// done, or later while the database is away: then it holds the next batch back
// for a while.
func (in *Ingest) Handle(ctx context.Context, batch []Message) {
	began := time.Now()
	defer func() { in.Observer.Batch(len(batch), time.Since(began)) }()
	work := make([]*arrival, 0, len(batch))
	var dead []letter
	var losses []loss
	admitted := in.admitAll(batch)
	for i, m := range batch {
		if alert.IsLossSubject(m.Subject()) {
			l, err := checkLoss(m.Subject(), m.Data())
			if err != nil {
				dead = append(dead, in.reject(m, err))
				continue
			}
			losses = append(losses, loss{m, l})
			continue
		}
		a, err := admitted[i].arrival, admitted[i].err
		switch {
		case a == nil:
			dead = append(dead, in.reject(m, err))
		case err != nil && in.later(a, err):
		default:
			work = append(work, a)
		}
	}
	in.announce(ctx, losses)
	in.bury(ctx, dead)
	if len(work) == 0 {
		return
	}
	err := in.process(ctx, work)
	if err != nil && len(work) > 1 && !in.away(ctx, err) {
		for _, a := range work {
			in.settle(ctx, []*arrival{a}, in.process(ctx, []*arrival{a}))
		}
		return
	}
	in.settle(ctx, work, err)
}

// admission is what admit says.
type admission struct {
	*arrival
	err error
}

// admitAll admits on all processors what is an alert.
func (in *Ingest) admitAll(batch []Message) []admission {
	all := make([]admission, len(batch))
	var each errgroup.Group
	each.SetLimit(runtime.GOMAXPROCS(0))
	for i, m := range batch {
		if !alert.IsLossSubject(m.Subject()) {
			each.Go(func() error {
				all[i].arrival, all[i].err = in.admit(m)
				return nil
			})
		}
	}
	_ = each.Wait() // nothing that one alert is told stops the others
	return all
}

// admit checks a message and binds what it names. Without an arrival the error is
// a *Rejection; with one it says that the pod cannot be told now.
func (in *Ingest) admit(m Message) (*arrival, error) {
	a, err := Check(m.Subject(), m.ID(), m.Data())
	if err != nil {
		return nil, err
	}
	a.UUID = store.RecordID(a.UUID, m.ReceivedAt())
	r := a.Riposte
	n := &arrival{Message: m, alert: a, origin: store.Origin{Cluster: r.Cluster, Node: r.Node, BootID: r.BootID, Seq: r.Seq}}
	n.binding, n.pod, err = in.bind(a)
	return n, err
}

func (in *Ingest) bind(a *alert.Alert) (playbook.Binding, *playbook.Pod, error) {
	r := a.Riposte
	switch {
	case r.Pod == nil || r.Pod.UID == "" && r.Intake == "":
		return playbook.None, nil, nil
	case in.Binder == nil || r.Cluster != in.Cluster:
		return playbook.Unbound, nil, nil
	case r.Intake != "":
		at := in.Now()
		if a.Time.Before(at) { // a time to come would find a pod that is not meant
			at = a.Time
		}
		return in.Binder.BindNamed(r.Pod.Namespace, r.Pod.Name, r.Pod.UID, at)
	}
	return in.Binder.Bind(r.Node, r.Pod.UID)
}

// Bounds of asking for a pod: after 100 ms, 200 ms and so on, about seven seconds in all.
const (
	maxAsked  = 7
	firstAsk  = 100 * time.Millisecond
	longAsked = 2 * time.Second
)

// later has an alert come again whose pod cannot be told now, unless that was
// tried often enough: then it stays unbound.
func (in *Ingest) later(a *arrival, cause error) bool {
	n := in.asked.add(a.origin)
	if n > maxAsked {
		delete(in.asked, a.origin)
		in.Log.Warn("an alert's pod could not be asked for: it stays unbound", "alert", a.alert.UUID, "tries", n, "error", strconv.QuoteToASCII(clip(cause.Error())))
		return false
	}
	in.counts.deferred.Add(1)
	in.answer(a.Nak(min(firstAsk<<(n-1), longAsked)))
	return true
}

// clip bounds what a log line quotes.
func clip(s string) string { return s[:min(len(s), 512)] }
