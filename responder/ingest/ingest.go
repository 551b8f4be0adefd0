// Package ingest takes alerts from the bus and makes them durable, together with
// all that follows from them.
//
// # The way of a message
//
//	check   size, JSON, and whether the alert is the node's whose subject it came on
//	bind    is the pod that it names known, and on that node?
//	read    already seen? which incident is open? what was done to the target before?
//	decide  every playbook's answer, and the guard's verdict on each proposal
//	write   inbox, incident, alert, decisions, actions, jobs and audit entries in one transaction
//	ack     only when that transaction has committed
//
// Playbooks run before the transaction begins: no lock is held while they think.
// Up to 64 messages that wait already share a transaction.
//
// # What can go wrong
//
// A message comes twice (the process died between commit and ack, or the broker
// repeats): the inbox has its origin, so it is acknowledged and nothing more. Two
// responders hold the same message: the inbox's primary key lets the second wait
// for the first.
//
// A message that can never be an alert is given up at once (Rejection). One that
// passes the check and still cannot be stored is tried again alone, so that the
// rest of its batch is not held up, some more times later, and then given up with
// an entry in the audit record. While the database cannot be reached every
// message waits; nothing is given up because of that.
package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"riposte/agent/alert"
	"riposte/responder/action"
	"riposte/responder/guard"
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
type Binder interface {
	Bind(node, uid string) (playbook.Binding, *playbook.Pod)
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

// Checker refuses what an action could not work with, see action.Registry.
type Checker interface {
	Check(kind string, target action.Target, params json.RawMessage) error
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
}

// Ingest stores alerts. Handle may be called from one goroutine at a time.
type Ingest struct {
	Options
	counts   counters
	failures failures
	pause    time.Duration
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
	return &Ingest{Options: o, failures: failures{}}
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
	work := make([]*arrival, 0, len(batch))
	for _, m := range batch {
		if a := in.admit(m); a != nil {
			work = append(work, a)
		}
	}
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

// admit checks a message; nil means that it is answered already.
func (in *Ingest) admit(m Message) *arrival {
	a, err := Check(m.Subject(), m.ID(), m.Data())
	if err != nil {
		var r *Rejection
		errors.As(err, &r)
		in.counts.rejected(r.Reason)
		// Quoted: the text is whatever the sender chose.
		in.Log.Warn("a message is no alert and was given up", "reason", string(r.Reason), "subject", strconv.QuoteToASCII(clip(m.Subject())),
			"message_id", strconv.QuoteToASCII(clip(m.ID())), "error", strconv.QuoteToASCII(clip(err.Error())), "data", strconv.QuoteToASCII(clip(string(m.Data()))))
		in.answer(m.Term(string(r.Reason)))
		return nil
	}
	r := a.Riposte
	n := &arrival{Message: m, alert: a, origin: store.Origin{Cluster: r.Cluster, Node: r.Node, BootID: r.BootID, Seq: r.Seq}}
	n.binding, n.pod = in.bind(a)
	return n
}

func (in *Ingest) bind(a *alert.Alert) (playbook.Binding, *playbook.Pod) {
	r := a.Riposte
	switch {
	case r.Pod == nil || r.Pod.UID == "":
		return playbook.None, nil
	case in.Binder == nil || r.Cluster != in.Cluster:
		return playbook.Unbound, nil
	}
	return in.Binder.Bind(r.Node, r.Pod.UID)
}

// clip bounds what a log line quotes.
func clip(s string) string { return s[:min(len(s), 512)] }
