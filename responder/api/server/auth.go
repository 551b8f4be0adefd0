package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"riposte/responder/api/access"
	"riposte/responder/audit"
)

// Limits of those who ask.
const (
	// requestsPerSecond and requestBurst are each principal's.
	requestsPerSecond = 50
	requestBurst      = 200
	// An address may fail failureBurst times at once, then once in ten seconds.
	failuresPerSecond = 0.1
	failureBurst      = 10
	// burstsPerMinute bounds what refusals can add to the record.
	burstsPerMinute = 6
)

// admit says who asks and whether they may have what the route serves.
func (s *Server) admit(c *call, e route) error {
	who, err := s.authenticate(c.Request)
	if err != nil {
		return err
	}
	c.who = who
	if wait := s.requests.Take(who.Name); wait > 0 {
		return tooMany("too_many_requests", wait, "%s asks more than %d times a second", who.Name, requestsPerSecond)
	}
	if e.role == access.None {
		return nil
	}
	c.in = who.Scope(e.role)
	switch {
	case len(c.in) == 0:
		err = problemf("forbidden", "this needs the role %s, which %s does not have", e.role, who.Name)
	case e.whole && !c.in.All():
		err = problemf("forbidden", "this is about everything, and %s is %s of a part", who.Name, e.role)
	default:
		return nil
	}
	s.refused(c.Request, "user:"+who.Name, audit.User(who.Name), e.pattern)
	return err
}

func tooMany(code string, wait time.Duration, format string, args ...any) error {
	p := problemf(code, format, args...)
	p.retry = int(math.Ceil(wait.Seconds()))
	return p
}

// refused counts a refusal of an address or a person. When there are too many at
// once the record gets one entry, however many follow.
func (s *Server) refused(r *http.Request, key, actor, what string) {
	s.Log.Warn("refused", "actor", actor, "remote", r.RemoteAddr, "what", what)
	if s.failures.Wait(key) > 0 || s.failures.Take(key) > 0 || s.failures.Wait(key) == 0 {
		return // there are enough, or not yet
	}
	if s.bursts.Take("") > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), queryTimeout)
	defer cancel()
	note := fmt.Sprintf("%d refusals at once, the last from %s for %s", failureBurst, access.Address(r.RemoteAddr), what)
	if err := s.record(ctx, audit.Entry{Kind: audit.Login, Actor: actor, Result: "refused", Note: note}); err != nil {
		s.Log.Error("a burst of refusals is not in the record", "error", err)
	}
}

// authenticate says who asks, by token or session.
func (s *Server) authenticate(r *http.Request) (access.Identity, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		// Whoever sends a token means it: a bad one is not made good by a cookie.
		scheme, given, _ := strings.Cut(h, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			given = ""
		}
		return s.recognize(r, strings.TrimSpace(given))
	}
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return access.Identity{}, problemf("no_token", "send the token as Authorization: Bearer …, or sign in")
	}
	who, err := s.sessions.check(r.Context(), cookie.Value)
	if errors.Is(err, access.ErrUnknown) {
		err = problemf("no_session", "the session has ended: sign in again")
	}
	if err != nil {
		return access.Identity{}, err
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !sameOrigin(r) {
		return access.Identity{}, problemf("cross_origin", "a session may change things from the console's own pages alone")
	}
	return who, nil
}

// recognize says whose a token is. An address from which too many bad ones came is
// not listened to for a while, but for the responder's own token, which nobody can
// guess, and tokens that were good a short time ago: strangers behind the same
// address must not lock anybody out.
func (s *Server) recognize(r *http.Request, token string) (access.Identity, error) {
	address := access.Address(r.RemoteAddr)
	sum := sha256.Sum256([]byte(token))
	p, static := s.verifier.Static(token)
	own := static && p.Name == s.Principals[0].Name
	if wait := s.failures.Wait(address); wait > 0 && !own && !s.good.Recent(sum) {
		return access.Identity{}, tooMany("too_many_failures", wait, "too many bad tokens came from %s", address)
	}
	who, err := s.verifier.Verify(r.Context(), token)
	if errors.Is(err, access.ErrUnknown) {
		s.refused(r, address, audit.System("api"), "a bad token")
		return who, problemf("bad_token", "the token is not this responder's, or not any more")
	}
	if err == nil {
		s.good.Note(sum)
	}
	return who, err
}

// sameOrigin says that the browser itself calls the request one of our own
// page. Browsers send at least one of the two headers with a change; what sends
// neither has no need of a cookie and can use the token.
func sameOrigin(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if site != "" && site != "same-origin" {
		return false
	}
	if origin != "" {
		u, err := url.Parse(origin)
		return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
	}
	return site == "same-origin"
}
