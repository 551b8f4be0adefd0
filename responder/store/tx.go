// Package store keeps alerts, incidents, decisions and actions in Postgres:
// the pool, the transactions and the queries. Queries are written by hand.
package store

import "github.com/jackc/pgx/v5"

// Tx is one open transaction. Packages other than store, audit and execute
// only hand it on.
type Tx struct{ pgx.Tx }
