package store

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNotFound says that no row has the asked-for id.
var ErrNotFound = errors.New("not found")

// ErrChanged says that a row is not any more what the caller saw.
var ErrChanged = errors.New("it was changed meanwhile; look again")

// errRaced: the action that stood in the way ended just then, and nothing of it
// is live any more. It counts as a Conflict.
var errRaced = errors.New("the action to join has ended meanwhile")

// Fault says that the database refused the data itself, so that the same data
// would be refused again. Whatever else went wrong may pass.
func Fault(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || len(pg.Code) < 2 {
		return false
	}
	switch pg.Code[:2] {
	case "0A", "21", "22", "23", "44", "54", "P0": // cardinality, data, constraint, check option, limit, raised by a function
		return true
	}
	return false
}

// Conflict says that the transaction lost against a concurrent one (deadlock,
// serialization) and may be repeated at once.
func Conflict(err error) bool {
	var pg *pgconn.PgError
	return errors.Is(err, errRaced) || errors.As(err, &pg) && strings.HasPrefix(pg.Code, "40")
}

// Refused says that the database answered, with an error of its own.
func Refused(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg)
}

// Unsent says that the database did not get to see anything: nobody answered, or the
// connection was found to be gone.
func Unsent(err error) bool {
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || pgconn.SafeToRetry(err)
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }
