package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"
)

const (
	// reviewed and refusedFor are how long a cluster's answer counts: so long a deleted
	// service account's token still works, and a new one may not.
	reviewed   = 30 * time.Second
	refusedFor = 10 * time.Second
	maxReviews = 1024
	// reviewsPerSecond bounds what strangers can make us ask the API server.
	reviewsPerSecond = 20
	reviewTimeout    = 5 * time.Second
)

// Review asks a cluster whose a token is, for one of the audiences; ok is false if
// nobody's. See kube.Client.ReviewToken.
type Review func(ctx context.Context, token string, audiences []string) (user string, groups []string, ok bool, err error)

// reviewer remembers for a short time what the cluster said.
type reviewer struct {
	Kubernetes
	ask   Review
	now   func() time.Time
	said  *lru[[sha256.Size]byte, answer]
	limit *Limiter
}

type answer struct {
	subject
	ok    bool
	until time.Time
}

func newReviewer(k Kubernetes, ask Review, now func() time.Time) *reviewer {
	return &reviewer{Kubernetes: k, ask: ask, now: now, said: newLRU[[sha256.Size]byte, answer](maxReviews), limit: NewLimiter(reviewsPerSecond, 2*reviewsPerSecond, now)}
}

func (r *reviewer) verify(ctx context.Context, token string) (subject, error) {
	sum := sha256.Sum256([]byte(token))
	a, ok := r.said.get(sum)
	if !ok || !r.now().Before(a.until) {
		if wait := r.limit.Take(""); wait > 0 {
			return subject{}, ErrUnavailable
		}
		ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
		defer cancel()
		user, groups, good, err := r.ask(ctx, token, r.Audiences)
		if err != nil {
			return subject{}, errors.Join(ErrUnavailable, err)
		}
		a = answer{subject{kind: "k8s", user: user, groups: groups}, good, r.now().Add(refusedFor)}
		if good {
			a.until = r.now().Add(reviewed)
		}
		r.said.put(sum, a)
	}
	if !a.ok {
		return subject{}, ErrUnknown
	}
	return a.subject, nil
}
