package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"riposte/responder/api"
	"riposte/responder/store"
)

// refusal is an error whose text may go to the client.
type refusal struct{ api.Problem }

func (r *refusal) Error() string { return r.Detail }

func problemf(status int, code, format string, args ...any) *refusal {
	return &refusal{api.Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...)}}
}

// refuse answers with err: as it is, if it was made for the client, else as an
// internal error whose cause stands in the log alone.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := guardProblem(err)
	switch {
	case p != nil || errors.As(err, &p):
	case r.Context().Err() != nil:
		return // the client has gone; nobody reads the answer
	case errors.Is(err, store.ErrNotFound):
		p = problemf(http.StatusNotFound, "not_found", "nothing has the id %.60q", r.PathValue("id"))
	case errors.Is(err, store.ErrID):
		p = problemf(http.StatusBadRequest, "bad_id", "%v", err)
	case errors.Is(err, store.ErrAmbiguous):
		p = problemf(http.StatusConflict, "ambiguous_id", "%v", err)
	case errors.Is(err, store.ErrCursor):
		p = problemf(http.StatusBadRequest, "bad_parameter", "before: %v", err)
	case errors.Is(err, context.DeadlineExceeded):
		s.Log.Error("request out of time", "method", r.Method, "path", r.URL.Path, "error", err)
		p = problemf(http.StatusGatewayTimeout, "timeout", "the database did not answer in time; narrow the query with since or limit")
	default:
		s.Log.Error("request", "method", r.Method, "path", r.URL.Path, "error", err)
		p = problemf(http.StatusInternalServerError, "internal", "the responder could not do this; its log says why")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="riposte"`)
	}
	write(w, p.Status, p.Problem)
}

// answer writes v, or refuses with err.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	write(w, http.StatusOK, v)
}

func write(w http.ResponseWriter, status int, v any) {
	b, err := encode(v)
	if err != nil {
		// The resources hold nothing that could not be encoded; see rawJSON.
		status, b = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // a client that left is no error of ours
}

// encode leaves <, > and & as they are: the record's bodies are shown as they
// were hashed, and the answers are never read as HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// rawJSON shows stored text as the JSON that it should be, and as a string if
// somebody changed it into something else.
func rawJSON(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	b, _ := json.Marshal(text)
	return b
}
