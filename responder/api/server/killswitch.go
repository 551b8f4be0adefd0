package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"unicode/utf8"

	"riposte/responder/audit"
)

// maxReason bounds the reason that a person gives, in bytes.
const maxReason = 1000

func (s *Server) showKillSwitch(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	s.answer(w, r, s.KillSwitch(), nil)
}

func (s *Server) setKillSwitch(w http.ResponseWriter, r *http.Request) {
	var k struct {
		On     *bool  `json:"on"`
		Reason string `json:"reason"`
	}
	err := readBody(r, &k)
	switch {
	case err != nil:
	case k.On == nil:
		err = problemf(http.StatusBadRequest, "bad_body", "on: say true or false")
	case len(k.Reason) > maxReason || !utf8.ValidString(k.Reason):
		err = problemf(http.StatusBadRequest, "bad_body", "reason: at most %d bytes of text", maxReason)
	}
	if err == nil && s.SetKillSwitch == nil {
		err = problemf(http.StatusConflict, "no_kill_switch", "this responder was started without a file for the kill switch; set --kill-switch-file")
	}
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	err = s.turn(ctx, *k.On, actor(r), k.Reason)
	s.answer(w, r, s.KillSwitch(), err)
}

// turn sets and records. Off lets effects happen, so it is recorded before. On
// must work without the database, so it is recorded after.
func (s *Server) turn(ctx context.Context, on bool, actor, reason string) error {
	record := func(result string) error {
		return s.record(ctx, audit.Entry{Kind: audit.KillSwitch, Actor: actor, Result: result, Why: audit.Why{Reason: reason}})
	}
	if !on {
		if err := record("off"); err != nil {
			return err
		}
		return s.SetKillSwitch(false, actor, reason)
	}
	if err := s.SetKillSwitch(true, actor, reason); err != nil {
		return err
	}
	if err := record("on"); err != nil {
		s.Log.Error("the kill switch was turned on and the record does not say so", "actor", actor, "error", err)
		return problemf(http.StatusInternalServerError, "not_recorded", "the kill switch is on, but that could not be written into the record; the log says why")
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
