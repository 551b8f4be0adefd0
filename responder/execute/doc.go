// Package execute carries out planned actions: it claims them, asks the gate one
// last time, runs them, records how they ended, and looks whether the effect is
// there.
//
//	   ┌──────────── retry, held ───────────┐
//	   ▼                                    │
//	planned ──claim──▶ executing ──gate──▶ Execute ──▶ succeeded ──▶ verified
//	   │                  ▲  │                │
//	expired       crash, retry unsure         └──▶ failed, refused, unknown
//
// The row in actions is the truth. River's job only says that somebody should
// look at it now: it may come late, twice or not at all.
//
// # Once
//
// A claim is an update that only one executor can make, with a lease. While the
// lease runs nobody else takes the action; every later write of the executor
// demands that the lease is still the one it got, so an executor that hung and
// came back cannot overwrite what another one recorded.
//
// The effect itself is single because of its identity, not of the lease: the
// action's id is the order's id and the agent carries an order out once; a
// Kubernetes object is addressed by its UID. So an executor that does not know
// whether an earlier attempt came through tries again.
//
// # Crashes
//
//   - before the claim: the action is planned, and the rescue loop queues it.
//   - after the claim, before or after the effect: it is executing under the name
//     of a dead process. The same instance, started again, takes its own leases
//     back at once; another instance takes them when they end.
//   - after the record, before the verification: it has succeeded, with a lease for
//     the verification, which is taken back in the same way.
//
// "planned" means that certainly nothing was caused so far. An attempt whose
// outcome is not known (a crash, a time-out) leaves "executing", and such an
// action never ends as expired or failed: its effect is looked for, and it ends
// as succeeded or unknown.
//
// # Lifting
//
// An effect that can be undone and has a ttl, or a lease on its node, is lifted when
// that is over, or when a person asks (AskLift). Its claim has a lease of its own, and
// the same rules hold: an undo whose record is missing is made again, with the same id
// and before-image, and the record is written once. No kill switch stops it. The rescue
// loop finds what is due, also the leases on nodes that are to be renewed.
//
// # Stages
//
// What destroys waits for the evidence of its own decision, for a bounded time. The
// actions' types say which is which; nothing else of a decision waits for another.
//
// # Queues
//
// What contains an attack, what is slow, what only looks for an effect and what lifts
// one wait in queues of their own, each with its own workers.
package execute
