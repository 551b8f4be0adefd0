package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// awaitEvery is the pause between two tries to connect.
	awaitEvery = 500 * time.Millisecond
	// tellEvery is how often somebody who waits is told why.
	tellEvery = 10 * time.Second
)

// Await returns when the database that url names takes connections, or with its last
// error when it has not within the bound. Only a server that is not up yet is waited for:
// one that refuses us, for a wrong password or an unknown database, says so at once.
// The reason of the wait is told when it begins and every ten seconds.
func Await(ctx context.Context, url string, bound time.Duration, tell func(reason error, left time.Duration)) error {
	end := time.Now().Add(bound)
	var told time.Time
	for {
		conn, err := connect(ctx, url)
		if err == nil {
			_ = conn.Close(ctx) // it has shown what it was for
			return nil
		}
		now := time.Now()
		switch {
		case ctx.Err() != nil || bound == 0 || !notUpYet(err):
			return err
		case now.After(end):
			return fmt.Errorf("the database has not come up within %s: %w", bound, err)
		case now.Sub(told) >= tellEvery:
			told = now
			tell(err, end.Sub(now))
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(awaitEvery, end.Sub(now))):
		}
	}
}

// notUpYet tells a server that will answer later from one that has answered, and from a
// certificate that no time will mend.
func notUpYet(err error) bool {
	if answer := (*pgconn.PgError)(nil); errors.As(err, &answer) {
		return answer.Code == "57P03" // cannot_connect_now: it starts
	}
	var network net.Error // refused, no such host yet, no answer in time
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
