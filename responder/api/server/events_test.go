package server_test

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/api/server"
	"riposte/responder/store/storetest"
)

// follow opens the stream and waits until it is ready.
func follow(t *testing.T, c *client.Client, after string) (next func() client.Event, stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	pull, end := iter.Pull2(c.Events(ctx, after))
	next = func() client.Event {
		t.Helper()
		e, err, more := pull()
		require.True(t, more, "the stream ended")
		require.NoError(t, err)
		return e
	}
	stop = func() { cancel(); end() }
	t.Cleanup(stop)
	require.Equal(t, api.EventReady, next().Name)
	return next, stop
}

func TestEventsTellWhatIsCommitted(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	c := newClient(t, e)
	next, _ := follow(t, c, "")
	e.Add(t, 3)

	got := next()
	require.Equal(t, api.EventAlert, got.Name)
	a, err := got.Alert()
	require.NoError(t, err)
	want, err := c.Alert(t.Context(), apitest.AlertID(3))
	require.NoError(t, err)
	require.Equal(t, want, a, "an event is the same resource as the list's")

	action, err := next().Action()
	require.NoError(t, err)
	require.Equal(t, apitest.ActionID(3), action.ID)
	for _, seq := range []int64{1, 2} {
		entry, err := next().Audit()
		require.NoError(t, err)
		require.Equal(t, seq, entry.Seq)
	}
	sql(t, e, `UPDATE actions SET state = 'unknown'`)
	action, err = next().Action()
	require.NoError(t, err)
	require.Equal(t, "unknown", action.State)
}

func TestEventsResumeAfterTheLastOne(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	c := newClient(t, e)
	next, stop := follow(t, c, "")
	e.Add(t, 0)
	var last client.Event
	for range 4 {
		last = next()
	}
	stop()
	e.Add(t, 1)
	e.Add(t, 2)

	next, stop = follow(t, c, last.ID)
	var names []string
	for range 8 {
		last = next()
		names = append(names, last.Name)
	}
	require.Equal(t, []string{"alert", "alert", "action", "action", "audit", "audit", "audit", "audit"}, names)
	stop()

	// Nothing came since; what comes next is new.
	next, _ = follow(t, c, last.ID)
	e.Add(t, 3)
	a, err := next().Alert()
	require.NoError(t, err)
	require.Equal(t, apitest.AlertID(3), a.ID)
}

func TestResumingTooLateStartsOver(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 0)
	c := newClient(t, e)
	next, stop := follow(t, c, "")
	e.Add(t, 1)
	id := next().ID
	stop()
	sql(t, e, `INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body)
		SELECT gen_random_uuid(), incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body
		FROM alerts, generate_series(1, 1001) LIMIT 1001`)
	for i, after := range []string{id, "999999999:999999999:"} {
		t.Run([]string{"more than is told", "another database's id"}[i], func(t *testing.T) {
			next, stop := follow(t, c, after)
			require.Equal(t, api.EventReset, next().Name)
			e.Add(t, 2+i)
			require.Equal(t, api.EventAlert, next().Name, "live again after the reset")
			stop()
		})
	}
	res, body := do(t, "GET", e.URL+"/api/v1/events", "", bearer, "Last-Event-ID: yesterday")
	requireProblem(t, res, body, http.StatusBadRequest, "bad_event_id")
}

// The database ends all connections, twice, and rows come in between.
func TestEventsSurviveLostConnections(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	next, _ := follow(t, newClient(t, e), "")
	for i := range 2 {
		sql(t, e, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		e.Add(t, i)
		require.Equal(t, api.EventAlert, next().Name)
		for range 3 {
			next()
		}
	}
}

func TestSlowSubscriberIsSentAwayAndCounted(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 0)
	slow, err := server.Subscribe(t.Context(), e.Server)
	require.NoError(t, err)
	next, _ := follow(t, newClient(t, e), "")
	// 1500 messages, more than are queued; one reader keeps up, the other does not read.
	for range 3 {
		sql(t, e, `INSERT INTO alerts (id, incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, body)
			SELECT gen_random_uuid(), incident_id, cluster, node, rule, priority, source, output, binding, recorded, kernel_ns, alert_ns, received_ns, '{}'
			FROM alerts, generate_series(1, 500) LIMIT 500`)
		for range 500 {
			require.Equal(t, api.EventAlert, next().Name)
		}
	}
	st, err := newClient(t, e).Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, api.EventsStatus{Subscribers: 1, Dropped: 1}, st.Events)
	for range server.MaxQueued {
		_, open := slow()
		require.True(t, open, "what was queued is still told")
	}
	_, open := slow()
	require.False(t, open)
}

func TestSubscribersAreBounded(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for range server.MaxSubscribers {
		_, err := server.Subscribe(t.Context(), e.Server)
		require.NoError(t, err)
	}
	res, body := do(t, "GET", e.URL+"/api/v1/events", "", bearer)
	requireProblem(t, res, body, http.StatusServiceUnavailable, "too_many_subscribers")
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	st, err := newClient(t, e).Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, api.EventsStatus{Subscribers: server.MaxSubscribers, Refused: 1}, st.Events)
}

func TestStopEndsStreams(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	before := goleak.IgnoreCurrent() // the server's own go away with the test's cleanup
	c := newClient(t, e)
	next, stop := follow(t, c, "")
	e.Add(t, 0)
	require.Equal(t, api.EventAlert, next().Name)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	began := time.Now()
	require.NoError(t, e.Server.Stop(ctx))
	require.NoError(t, e.Server.Stop(ctx), "twice is allowed")
	require.Less(t, time.Since(began), 5*time.Second)
	stop()
	c.Close()
	e.Store.Close()
	goleak.VerifyNone(t, before)
	_, err := c.Status(t.Context())
	require.ErrorIs(t, err, client.ErrUnreachable)
}

func TestEventsEndWithABadToken(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	c, err := client.New(e.URL, "wrong")
	require.NoError(t, err)
	defer c.Close()
	var got []error
	for _, err := range c.Events(t.Context(), "") {
		got = append(got, err)
	}
	require.Len(t, got, 1, "asking again cannot help")
	require.ErrorContains(t, got[0], "token")
}

func TestEventDataIsOneLine(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	next, _ := follow(t, newClient(t, e), "")
	e.Add(t, 0)
	got := next()
	require.True(t, json.Valid(got.Data))
	require.NotContains(t, string(got.Data), "\n")
}
