// Package contain carries out the responder's orders on this node. This version
// knows one: kill every process of one container.
//
// An order has at most one effect, however often it is repeated and wherever the
// agent is killed:
//
//	order ─→ signature, node ─→ ledger ── receipt known ──────────→ the old receipt, "repeated"
//	                              │ unknown: expiry
//	                              │ begun before: a crash lay between
//	                              ↓
//	                        same container life? ── no ───────────→ gone
//	                              ↓ yes
//	                        write "begun" ─→ cgroup.kill ─→ empty? ─→ write the receipt ─→ answer
//
// Repeating the kill of one and the same life is harmless, and another life is
// told apart by three things together: the container's id, its cgroup's inode and
// its start. So "begun" without a receipt may be carried out again.
//
// The ledger survives SIGKILL, not power loss, and need not: what an order kills
// does not outlive the machine either.
package contain
