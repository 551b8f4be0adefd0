package responder

import (
	"context"
	"time"

	"riposte/responder/store"
)

// AwaitDatabase waits for a database that is not up yet, see store.Await.
func AwaitDatabase(ctx context.Context, url string, bound time.Duration, tell func(reason error, left time.Duration)) error {
	return store.Await(ctx, url, bound, tell)
}

// Migrate brings the database that the owner's connection string names to this
// version's schema. The role, if one is given, gets the rights of a responder.
func Migrate(ctx context.Context, owner, role string) error {
	if err := store.Migrate(ctx, owner); err != nil {
		return err
	}
	if role == "" {
		return nil
	}
	return store.Grant(ctx, owner, role)
}

// DropRetired drops the months of the record that retention has taken out of it, for
// good, and returns the names of their tables.
func DropRetired(ctx context.Context, owner string) ([]string, error) {
	return store.DropRetired(ctx, owner)
}

// migrate uses the owner's connection where there is one. Otherwise the responder's
// own role migrates, if it may make tables, or the schema must be there.
func (r *Responder) migrate(ctx context.Context) error {
	if r.o.MigrateURL == "" {
		return store.Migrate(ctx, r.o.DatabaseURL)
	}
	role, err := store.RoleOf(r.o.DatabaseURL)
	if err != nil {
		return err
	}
	return Migrate(ctx, r.o.MigrateURL, role)
}
