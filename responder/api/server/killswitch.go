package server

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"riposte/responder/api"
	"riposte/responder/guard"
)

// maxReason bounds the reason that a person gives, in bytes.
const maxReason = 1000

func (s *Server) showKillSwitch(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	s.answer(w, r, s.killSwitch(), nil)
}

// killSwitch is the switch for all, with the narrower ones that are on.
func (s *Server) killSwitch() api.KillSwitch {
	all := switchResource(s.Guard.KillSwitch())
	for _, other := range s.Guard.Switches() {
		if other.Scope != guard.ScopeAll {
			all.Others = append(all.Others, switchResource(other))
		}
	}
	return all
}

func switchResource(s guard.Switch) api.KillSwitch {
	k := api.KillSwitch{On: s.On, Name: s.Name, Reason: s.Reason, Actor: s.Actor}
	if s.Scope != guard.ScopeAll {
		k.Scope = string(s.Scope)
	}
	if !s.At.IsZero() {
		k.At = &s.At
	}
	return k
}

func (s *Server) setKillSwitch(w http.ResponseWriter, r *http.Request) {
	var k struct {
		On     *bool       `json:"on"`
		Scope  guard.Scope `json:"scope"`
		Name   string      `json:"name"`
		Reason string      `json:"reason"`
	}
	err := readBody(r, &k)
	switch {
	case err != nil:
	case k.On == nil:
		err = problemf(http.StatusBadRequest, "bad_body", "on: say true or false")
	default:
		err = checkText("reason", k.Reason)
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	err = s.Guard.Turn(ctx, guard.Switch{Scope: k.Scope, Name: k.Name, On: *k.On, Actor: actor(r), Reason: k.Reason})
	if errors.Is(err, guard.ErrNotRecorded) {
		s.Log.Error("the kill switch was turned on and the record does not say so", "actor", actor(r), "error", err)
	}
	s.answer(w, r, s.killSwitch(), err)
}

// checkText refuses what a person may not write into the record.
func checkText(name, text string) error {
	if len(text) > maxReason || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return problemf(http.StatusBadRequest, "bad_body", "%s: at most %d bytes of text", name, maxReason)
	}
	return nil
}

// readBody decodes a request's JSON object, in which only known keys may stand.
func readBody(r *http.Request, into any) error {
	if q := readParameters(r); q.err != nil {
		return q.err
	}
	// A form, which another site's page could send, cannot have this type.
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return problemf(http.StatusUnsupportedMediaType, "bad_content_type", "send Content-Type: application/json")
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return problemf(http.StatusRequestEntityTooLarge, "body_too_large", "the body is over the limit of %d bytes", large.Limit)
	}
	if err != nil {
		return problemf(http.StatusBadRequest, "bad_body", "the body is not the expected JSON: %v", err)
	}
	return nil
}
