// Package contain carries out the responder's orders on this node, and what stands
// to be done at once when a rule fires.
//
// An order has at most one effect, however often it is repeated and wherever the
// agent is killed:
//
//	order ─→ signature, node ─→ ledger ── receipt known ──────────→ the old receipt, "repeated"
//	                              │ unknown: expiry, kill switch
//	                              │ begun before: a crash lay between
//	                              ↓
//	                        same life of the target? ── no ───────→ gone
//	                              ↓ yes: is it protected?
//	                        write "begun" ─→ effect ─→ seen? ─→ write the receipt ─→ answer
//
// To repeat an effect on one and the same life is harmless, and another life is told
// apart: a container by its id, its cgroup's inode and its start together, a process
// by its start, read after its pidfd was opened. So "begun" without a receipt may be
// carried out again.
//
// Freeze and cut are holds. A hold has holders, which are orders and the immediate
// containment, each with the end of its lease; it ends with the last of them:
//
//	write the lease ─→ effect        effect's end ─→ forget the lease
//
// so that after a crash in between the effect is ended once more, which changes
// nothing. A cut's programs are attached without links: they outlive the agent, and
// the end of the lease in their map ends the cut without one.
//
// Ledger and leases survive SIGKILL, not power loss, and need not: what they are about
// does not outlive the machine either.
package contain
