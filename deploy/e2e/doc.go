// Package e2e tests the parts together: real system calls seen by eBPF, a real
// NATS and PostgreSQL, a real API server, a real browser.
package e2e
