package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// defaultConns is the pool's size if the URL does not say pool_max_conns:
// the ingest, River's fetchers and executors and some API requests at once.
const defaultConns = 16

// Store is a pool of connections to one database.
type Store struct{ pool *pgxpool.Pool }

// Open connects to the database that url names and checks that it answers. The
// pool's limits can be set in the URL (pool_max_conns and pgxpool's others).
func Open(ctx context.Context, url string) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err) // pgx leaves the password out
	}
	asked, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	if _, said := asked.RuntimeParams["pool_max_conns"]; !said {
		config.MaxConns = defaultConns
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if _, said := config.ConnConfig.RuntimeParams["application_name"]; !said {
		config.ConnConfig.RuntimeParams["application_name"] = "riposte"
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return &Store{pool: pool}, nil
}

// Pool is for packages that run their own SQL or hand the pool to River.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Close waits for the connections in use and closes all.
func (s *Store) Close() { s.pool.Close() }

// InTx runs do in one transaction (read committed): committed if do returns
// nil, rolled back if it returns an error or panics.
func (s *Store) InTx(ctx context.Context, do func(Tx) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return do(Tx{tx}) })
}
