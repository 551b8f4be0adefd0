package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"riposte/responder/api"
	"riposte/responder/api/access"
	"riposte/responder/execute"
	"riposte/responder/guard"
	"riposte/responder/incident"
	"riposte/responder/ingest"
	"riposte/responder/store"
)

// codes are all codes of problems with their statuses; the document lists them. A
// code is stable: programs branch on it.
var codes = map[string]int{
	"unknown_parameter": 400, "bad_parameter": 400, "bad_query": 400, "bad_id": 400, "bad_body": 400, "bad_mode": 400, "bad_event_id": 400, "bad_header": 400,
	"no_token": 401, "bad_token": 401, "no_session": 401,
	"cross_origin": 403, "forbidden": 403,
	"not_found": 404, "not_asked": 404, "no_such_endpoint": 404, "no_issuer": 404,
	"ambiguous_id": 409, "no_kill_switch": 409, "not_waiting": 409, "already_answered": 409, "guard_refuses": 409, "question_changed": 409,
	"incident_state": 409, "not_liftable": 409, "not_cancellable": 409, "token_ended": 409, "in_progress": 409,
	"changed": 412, "body_too_large": 413, "bad_content_type": 415,
	"still_dead": 422, "key_reused": 422,
	"verification_running": 429, "too_many_requests": 429, "too_many_failures": 429,
	"internal": 500, "not_recorded": 500,
	"stopping": 503, "too_many_subscribers": 503, "export_busy": 503, "tests_running": 503, "not_checked": 503, "timeout": 504,
}

// refusal is an error whose text may go to the client.
type refusal struct {
	api.Problem
	// retry is what Retry-After says, in seconds; 0 for nothing.
	retry int
}

func (r *refusal) Error() string { return r.Detail }

// problemf makes a refusal; its code is one of codes.
func problemf(code, format string, args ...any) *refusal {
	status := codes[code]
	return &refusal{Problem: api.Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}}
}

// causes are what other packages' errors are to a client: their text is made for it.
var causes = []struct {
	err  error
	code string
}{
	{guard.ErrNotWaiting, "not_waiting"},
	{guard.ErrVoted, "already_answered"},
	{guard.ErrStopped, "guard_refuses"},
	{guard.ErrChanged, "question_changed"},
	{guard.ErrNoKillSwitch, "no_kill_switch"},
	{guard.ErrMode, "bad_mode"},
	{guard.ErrSwitchName, "bad_body"},
	{execute.ErrNotLiftable, "not_liftable"},
	{execute.ErrNotCancellable, "not_cancellable"},
	{incident.ErrState, "incident_state"},
	{ingest.ErrStillDead, "still_dead"},
	{store.ErrChanged, "changed"},
	{store.ErrID, "bad_id"},
	{store.ErrRevision, "bad_parameter"},
	{store.ErrCountedBy, "bad_parameter"},
	{store.ErrManyCounts, "bad_parameter"},
	{store.ErrAmbiguous, "ambiguous_id"},
	{store.ErrKeyReused, "key_reused"},
	{store.ErrInProgress, "in_progress"},
}

// problemOf is what an error is to a client; an unexpected one is logged, for its
// cause is not for others.
func (s *Server) problemOf(r *http.Request, err error) *refusal {
	var p *refusal
	if errors.As(err, &p) {
		return p
	}
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return problemf(c.code, "%v", err)
		}
	}
	switch {
	case errors.Is(err, guard.ErrNotRecorded):
		return problemf("not_recorded", "%v; the log says why", guard.ErrNotRecorded)
	case errors.Is(err, store.ErrNotFound) && r.Method != http.MethodGet && r.Method != http.MethodHead:
		return problemf("not_found", "nothing has the id %.60q, or you may not change it", r.PathValue("id"))
	case errors.Is(err, store.ErrNotFound):
		return problemf("not_found", "nothing has the id %.60q", r.PathValue("id"))
	case errors.Is(err, store.ErrCursor):
		return problemf("bad_parameter", "before: %v", err)
	case errors.Is(err, access.ErrUnavailable):
		s.Log.Error("a token cannot be checked", "error", err)
		p = problemf("not_checked", "%v", access.ErrUnavailable)
		p.retry = 5
		return p
	case errors.Is(err, context.DeadlineExceeded):
		s.Log.Error("request out of time", "method", r.Method, "path", r.URL.Path, "error", err)
		return problemf("timeout", "the database did not answer in time; narrow the query with since or limit")
	}
	s.Log.Error("request", "method", r.Method, "path", r.URL.Path, "error", err)
	return problemf("internal", "the responder could not do this; its log says why")
}

// refuse answers with err.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has gone; nobody reads the answer
	}
	a, retry := s.refusalOf(r, err)
	if retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retry))
	}
	a.write(w)
}

func (s *Server) refusalOf(r *http.Request, err error) (a response, retry int) {
	p := s.problemOf(r, err)
	b, _ := encode(p.Problem)
	return response{p.Status, "application/problem+json", b}, p.retry
}
