package runtime

import (
	"sync"
	"time"
)

const (
	// sharedFor is how long an answer holds for others: a burst of containers, but not
	// another tag of an image.
	sharedFor = time.Minute
	// maxShared bounds how many answers are kept.
	maxShared = 512
)

// shared keeps what a runtime says of things that several containers have in common, such
// as their image. On a busy node each question to it takes a tenth of a second, and many
// pods start at once.
type shared[T any] struct {
	mu  sync.Mutex
	all map[string]answered[T]
}

type answered[T any] struct {
	value T
	until time.Time
}

// get asks for a key that is not known; keep says whether the answer holds for others.
func (s *shared[T]) get(key string, ask func() (value T, keep bool, err error)) (T, error) {
	s.mu.Lock()
	known, ok := s.all[key]
	s.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.value, nil
	}
	value, keep, err := ask()
	if err != nil || !keep {
		return value, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil || len(s.all) >= maxShared {
		s.all = map[string]answered[T]{}
	}
	s.all[key] = answered[T]{value, time.Now().Add(sharedFor)}
	return value, nil
}
