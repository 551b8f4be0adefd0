package kubeobject

import (
	"context"
	"errors"
	"fmt"
	"time"

	"riposte/responder/action"
)

// Looks of Wait: often at first, because most effects are there in about a second.
const (
	firstLook = 50 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// Wait looks until the effect is there and returns when it was seen. look returns
// why it is not there yet; a *Gone counts as there. What was seen last says more
// than why a later look did not work, so that is what the error names.
func Wait(ctx context.Context, look func(context.Context) (string, error)) (time.Time, error) {
	seen, reason := false, "not looked at yet"
	for wait := firstLook; ; wait = min(wait*5/4, lastLook) {
		why, err := look(ctx)
		_, gone := errors.AsType[*Gone](err)
		switch {
		case err == nil && why == "", gone:
			return time.Now(), nil
		case err == nil:
			seen, reason = true, why
		case action.KindOf(err) != action.Retryable:
			return time.Time{}, err
		case !seen && ctx.Err() == nil:
			reason = err.Error()
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%s: %w", reason, ctx.Err())
		case <-time.After(wait):
		}
	}
}
