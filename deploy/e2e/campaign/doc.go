// Package campaign holds the fault campaign: thousands of alerts while every part
// of Riposte is killed, paused and cut off at moments that a seed decides.
//
//	agent ×2 ──proxy──▶ NATS ◀──proxy── responder ×2 ──proxy──▶ PostgreSQL
//	                                        └───────proxy──▶ kube-apiserver
//
// All parts are real and processes of their own. Two agents publish through the
// agent's outbox, spool and connection and carry out orders with the agent's own
// ledger; only the kernel's events are made up. Each responder has its own proxies,
// so that one can be cut off while the other works. The API server's proxy answers
// 409, 429 and 500, is late, and loses answers of what was done.
//
// At the end nothing may be lost, done twice, or left open: see check_test.go.
package campaign
