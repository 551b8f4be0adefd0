package responder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// readyTime bounds what the database may take to answer.
const readyTime = 2 * time.Second

// check is one part without which an alert that comes now could not be decided and
// acted on. Its error says what is missing.
type check struct {
	part string
	ask  func(context.Context) error
}

// readiness asks all the parts and says in the log when something changes.
type readiness struct {
	checks []check
	log    *slog.Logger

	mu   sync.Mutex
	said string
}

// parts is the error of each part, nil where it works.
func (r *readiness) parts(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	all := make(map[string]error, len(r.checks))
	var missing []string
	for _, c := range r.checks {
		all[c.part] = nil
		if err := c.ask(ctx); err != nil {
			all[c.part] = oneLine{err}
			missing = append(missing, c.part)
		}
	}
	r.say(all, strings.Join(missing, ", "))
	return all
}

// say tells the log once per change of what is missing, not of the error's words.
func (r *readiness) say(all map[string]error, missing string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if missing == r.said {
		return
	}
	r.said = missing
	if missing == "" {
		r.log.Info("ready again")
		return
	}
	r.log.Warn("not ready", "missing", missing, "error", r.join(all))
}

func (r *readiness) join(all map[string]error) error {
	var errs []string
	for _, c := range r.checks {
		if err := all[c.part]; err != nil {
			errs = append(errs, fmt.Sprintf("%s: %v", c.part, err))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return errors.New(strings.Join(errs, "; "))
}

// works says of each part whether it does, for the figures.
func (r *readiness) works(ctx context.Context) map[string]bool {
	all := map[string]bool{}
	for part, err := range r.parts(ctx) {
		all[part] = err == nil
	}
	return all
}

// newReadiness says what this responder needs.
func (r *Responder) newReadiness() *readiness {
	checks := []check{
		{"database", r.store.Ping},
		{"bus", func(context.Context) error {
			if !r.bus.Connected() {
				return errors.New("NATS cannot be reached")
			}
			return nil
		}},
		{"playbooks", func(context.Context) error {
			if len(r.playbooks.Playbooks()) == 0 {
				return errors.New("none is loaded")
			}
			return nil
		}},
	}
	if r.binder != nil {
		checks = append(checks, check{"informers", func(context.Context) error {
			if !r.binder.Synced() {
				return errors.New("the cluster's pods are not known yet")
			}
			return nil
		}})
	}
	return &readiness{checks: checks, log: r.o.Log.With("component", "ready")}
}
