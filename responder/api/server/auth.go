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

// authenticator checks tokens and sessions. A session is an expiry with a
// signature made of the token: every replica can check it, none has to remember
// it, and a new token ends them all.
type authenticator struct {
	sum [sha256.Size]byte
	key []byte
	now func() time.Time
}

func newAuthenticator(token string) authenticator {
	key := hmac.New(sha256.New, []byte(token))
	key.Write([]byte("riposte/session/1\n"))
	return authenticator{sum: sha256.Sum256([]byte(token)), key: key.Sum(nil), now: time.Now}
}

// token compares hashes: of one length, in constant time.
func (a authenticator) token(given string) bool {
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], a.sum[:]) == 1
}

// newSession is 8 bytes of expiry, 16 random ones and the signature.
func (a authenticator) newSession() (value string, expires time.Time) {
	expires = a.now().Add(sessionLife)
	b := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	b = append(b, make([]byte, 16)...)
	_, _ = rand.Read(b[8:]) // never fails
	return base64.RawURLEncoding.EncodeToString(append(b, a.sign(b)...)), expires
}

func (a authenticator) sign(b []byte) []byte {
	m := hmac.New(sha256.New, a.key)
	m.Write(b)
	return m.Sum(nil)
}

func (a authenticator) session(value string) bool {
	const signed = 8 + 16
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(b) != signed+sha256.Size || !hmac.Equal(b[signed:], a.sign(b[:signed])) {
		return false
	}
	return a.now().Unix() < int64(binary.BigEndian.Uint64(b))
}

type actorKey struct{}

// actor is who asks, in audit's form. One token means one name; roles come later.
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
		if strings.EqualFold(scheme, "Bearer") && s.auth.token(strings.TrimSpace(given)) {
			return audit.User("token"), nil
		}
		return "", problemf(http.StatusUnauthorized, "bad_token", "the token is not this responder's")
	}
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return "", problemf(http.StatusUnauthorized, "no_token", "send the token as Authorization: Bearer …, or sign in")
	}
	if !s.auth.session(c.Value) {
		return "", problemf(http.StatusUnauthorized, "no_session", "the session has ended: sign in again")
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !sameOrigin(r) {
		return "", problemf(http.StatusForbidden, "cross_origin", "a session may change things from the console's own pages alone")
	}
	return audit.User("console"), nil
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
	if !s.auth.token(strings.TrimSpace(body.Token)) {
		// In the log, not in the record: strangers could fill that.
		s.Log.Warn("sign-in refused", "remote", r.RemoteAddr)
		s.refuse(w, r, problemf(http.StatusUnauthorized, "bad_token", "the token is not this responder's"))
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	if err := s.record(ctx, audit.Entry{Kind: audit.Login, Actor: audit.User("console"), Result: "accepted"}); err != nil {
		s.refuse(w, r, err)
		return
	}
	value, expires := s.auth.newSession()
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
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}
