// Package scale runs Riposte against a cluster of many nodes and pods, and says what that
// costs: memory and processor time of each part, bytes from the API server, latencies.
//
//	etcd, kube-apiserver ◀─ kwok (all kubelets)
//	   ▲        ▲
//	   │        └─meter─ responder ─▶ PostgreSQL
//	 meters                 ▲
//	   │                  NATS
//	   └── agents ──────────┘
//
// API server, kwok, PostgreSQL, NATS, responder and agents are processes of their own.
// All agents share one process; each has its own key, connection, spool and heartbeat,
// by the agent's own code, and a sample of them follows its node's pods. Made up are the
// alerts alone. Each names a real pod; some are Critical, and their pods are deleted.
//
// At the end each alert must be stored, bound and, if it is Critical, acted on, and no
// other pod may be gone. How long anything took is printed, not asserted.
package scale
