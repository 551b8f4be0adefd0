package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"riposte/migrations"
)

// RiverSchema is the Postgres schema of River's tables.
const RiverSchema = "river"

// migrateLock is the key of the advisory lock under which migrations run, so
// that replicas which start together take turns.
const migrateLock = 7_221_030_442_611_902

// Migrate brings the database that url names to this version's schema: first
// ours, then River's. It may run in many processes at once. A database that a
// newer version has migrated is refused. A role that may make no tables has nothing
// migrated, and gets an error unless the schema is this version's already: then the
// database's owner migrates, see Grant.
func Migrate(ctx context.Context, url string) error {
	config, err := connConfig(url)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	var may bool
	if err := db.QueryRowContext(ctx, "SELECT has_schema_privilege(current_schema(), 'CREATE')").Scan(&may); err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	if !may {
		return checkSchema(ctx, db)
	}
	if err := migrateOurs(ctx, db); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	if err := migrateRiver(ctx, db, url); err != nil {
		return fmt.Errorf("migrate the job queue's schema: %w", err)
	}
	return nil
}

// connConfig reads a connection string that may be a pool's.
func connConfig(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	for name := range config.RuntimeParams {
		if strings.HasPrefix(name, "pool_") { // the pool's, unknown to the server
			delete(config.RuntimeParams, name)
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	return config, nil
}

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := connConfig(url)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

// checkSchema is what a role without the owner's rights can do.
func checkSchema(ctx context.Context, db *sql.DB) error {
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	known := sources[len(sources)-1].Version
	var current int64
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&current)
	switch {
	case err != nil:
		return fmt.Errorf("look at the schema's version: %w; the database's owner makes it with `riposte migrate`", err)
	case current < known:
		return fmt.Errorf("the schema is at version %d and this program needs %d: the database's owner brings it there with `riposte migrate`", current, known)
	case current > known:
		return fmt.Errorf("the schema is at version %d and this program knows %d: run the newer version", current, known)
	}
	return nil
}

func migrateOurs(ctx context.Context, db *sql.DB) error {
	// Once a second for five minutes: the longest that another replica's migration may take.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrateLock), lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return err
	}
	current, known, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > known {
		return fmt.Errorf("the schema is at version %d and this program knows %d: run the newer version", current, known)
	}
	return nil
}

func migrateRiver(ctx context.Context, db *sql.DB, url string) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return err
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrateLock))
	}()
	if _, err := conn.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+RiverSchema); err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	defer pool.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: RiverSchema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}
