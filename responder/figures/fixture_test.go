package figures_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"riposte/responder/api"
	"riposte/responder/execute"
	"riposte/responder/figures"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/kube"
	"riposte/responder/notify"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

func storeOf(t *testing.T) *store.Store { return storetest.New(t) }

func newResponse() *httptest.ResponseRecorder { return httptest.NewRecorder() }

func request(t *testing.T) *http.Request {
	return httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
}

// full has every source.
func full(t *testing.T, db *store.Store) figures.Sources {
	t.Helper()
	counts := func() map[string]uint64 { return map[string]uint64{"stored": 1, "bad": 2} }
	in := ingest.New(ingest.Options{})
	return figures.Sources{
		Version: "1.2.3", Ready: func(context.Context) map[string]bool { return map[string]bool{"bus": true} },
		Ingest: map[string]figures.Counts{"bus": in.Counts, "http": in.Counts}, Intake: counts, Bus: counts, Connected: func() bool { return true },
		Backlog:   func(context.Context) (uint64, uint64, error) { return 3, 4, nil },
		Playbooks: func() int { return 2 }, Reloads: map[string]func() sandbox.Loads{"guard_file": func() sandbox.Loads { return sandbox.Loads{Good: 1, GoodAt: time.Unix(5, 0)} }},
		Guard: func() map[string]uint64 { return map[string]uint64{"kill-switch": 1} }, Switches: func() []guard.Switch { return []guard.Switch{{Scope: guard.ScopeAll, On: true}} },
		Execute: func() execute.Stats {
			return execute.Stats{Attempts: 3, FirstAttempts: 2, Errors: map[execute.Count]uint64{{Type: "delete_pod", What: "retryable"}: 1}}
		},
		Immediate: counts, Webhooks: func() map[string]notify.Count { return map[string]notify.Count{"chat": {OK: 1, Failed: 2}} },
		Database: db, SilentAfter: time.Minute, Kube: func() kube.Stats { return kube.Stats{Pods: 7} }, Traces: counts,
		Verifications: counts, Checkpoints: counts, Pruned: counts, Events: func() api.EventsStatus { return api.EventsStatus{Dropped: 1} },
	}
}
