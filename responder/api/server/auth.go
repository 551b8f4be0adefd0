package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"strings"
	"time"

	"riposte/responder/audit"
)

// sessionCookie holds a browser's session.
const sessionCookie = "riposte_session"

// sessionLife is how long a browser stays signed in.
const sessionLife = 12 * time.Hour

// Principal is somebody who may ask: a person, or a program with the one token.
// The name stands in the record, and two people are two names.
type Principal struct{ Name, Token string }

// authenticator checks tokens and sessions. A session is an expiry with a
// signature made of its person's token: every replica can check it, none has to
// remember it, and a new token ends them all.
type authenticator struct {
	all []credential
	now func() time.Time
}

type credential struct {
	name string
	sum  [sha256.Size]byte
	key  []byte
}

func newAuthenticator(all []Principal) authenticator {
	a := authenticator{now: time.Now}
	for _, p := range all {
		key := hmac.New(sha256.New, []byte(p.Token))
		key.Write([]byte("riposte/session/1\n"))
		a.all = append(a.all, credential{name: p.Name, sum: sha256.Sum256([]byte(p.Token)), key: key.Sum(nil)})
	}
	return a
}

// token finds whose a token is. It compares hashes: of one length, in constant
// time, and with everybody's.
func (a authenticator) token(given string) (who *credential) {
	sum := sha256.Sum256([]byte(given))
	for i := range a.all {
		if subtle.ConstantTimeCompare(sum[:], a.all[i].sum[:]) == 1 {
			who = &a.all[i]
		}
	}
	return who
}

// newSession is 8 bytes of expiry, 16 random ones and the signature.
func (a authenticator) newSession(who *credential) (value string, expires time.Time) {
	expires = a.now().Add(sessionLife)
	b := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	b = append(b, make([]byte, 16)...)
	_, _ = rand.Read(b[8:]) // never fails
	return base64.RawURLEncoding.EncodeToString(append(b, who.sign(b)...)), expires
}

func (c *credential) sign(b []byte) []byte {
	m := hmac.New(sha256.New, c.key)
	m.Write(b)
	return m.Sum(nil)
}

// session finds whose a session is, nil if it is nobody's or has ended.
func (a authenticator) session(value string) (who *credential) {
	const signed = 8 + 16
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(b) != signed+sha256.Size {
		return nil
	}
	for i := range a.all {
		if hmac.Equal(b[signed:], a.all[i].sign(b[:signed])) {
			who = &a.all[i]
		}
	}
	if a.now().Unix() >= int64(binary.BigEndian.Uint64(b)) {
		return nil
	}
	return who
}

type actorKey struct{}

// actor is who asks, in audit's form: the same by token and by session, or one
// person could pass for two. Roles come later.
func actor(r *http.Request) string {
	name, _ := r.Context().Value(actorKey{}).(string)
	return name
}

// closed lets only requests with the token or a session through.
func (s *Server) closed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := s.authenticate(r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, who)))
	}
}

func (s *Server) authenticate(r *http.Request) (string, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		// Whoever sends a token means it: a bad one is not made good by a cookie.
		scheme, given, _ := strings.Cut(h, " ")
		if strings.EqualFold(scheme, "Bearer") {
			if who := s.auth.token(strings.TrimSpace(given)); who != nil {
				return audit.User(who.name), nil
			}
		}
		return "", problemf(http.StatusUnauthorized, "bad_token", "the token is not this responder's")
	}
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", problemf(http.StatusUnauthorized, "no_token", "send the token as Authorization: Bearer …, or sign in")
	}
	who := s.auth.session(c.Value)
	if who == nil {
		return "", problemf(http.StatusUnauthorized, "no_session", "the session has ended: sign in again")
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !sameOrigin(r) {
		return "", problemf(http.StatusForbidden, "cross_origin", "a session may change things from the console's own pages alone")
	}
	return audit.User(who.name), nil
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

// login trades the token for a session cookie.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Token string `json:"token"`
	}
	if err := readBody(r, &body); err != nil {
		s.refuse(w, r, err)
		return
	}
	if (r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "") && !sameOrigin(r) {
		s.refuse(w, r, problemf(http.StatusForbidden, "cross_origin", "sign in on the console's own page"))
		return
	}
	who := s.auth.token(strings.TrimSpace(body.Token))
	if who == nil {
		// In the log, not in the record: strangers could fill that.
		s.Log.Warn("sign-in refused", "remote", r.RemoteAddr)
		s.refuse(w, r, problemf(http.StatusUnauthorized, "bad_token", "the token is not this responder's"))
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	if err := s.record(ctx, audit.Entry{Kind: audit.Login, Actor: audit.User(who.name), Result: "accepted", Note: "signed in at the console"}); err != nil {
		s.refuse(w, r, err)
		return
	}
	value, expires := s.auth.newSession(who)
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", Expires: expires, MaxAge: int(sessionLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
	w.WriteHeader(http.StatusNoContent)
}

// logout makes the browser forget its session.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	if err := s.record(ctx, audit.Entry{Kind: audit.Logout, Actor: actor(r), Result: "accepted", Note: "signed out at the console"}); err != nil {
		s.refuse(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}
