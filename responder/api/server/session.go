package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"riposte/responder/api"
	"riposte/responder/api/access"
	"riposte/responder/audit"
	"riposte/responder/store"
)

// sessionCookie holds a browser's session.
const sessionCookie = "riposte_session"

// sessions makes and checks what a browser keeps. Of who signed in with a token: an
// expiry, the id of a stored token (zero for one of a file), and a signature, by a key
// made of its person's token, or, since only the hash of a stored one is kept, of the
// responder's own: so a new token ends the sessions of the old one, and revoking a stored
// one ends its. Of who signed in through the issuer: who that is, sealed. Every replica
// can check it, none has to remember it.
type sessions struct {
	keys   []sessionKey
	tokens func(ctx context.Context, id string) (store.TokenRow, error)
	now    func() time.Time

	sealer   sealer
	verifier *access.Verifier
	// purpose binds sealed sessions to the issuer and the client, so that another one's
	// people do not become ours when the access file changes.
	purpose string
}

type sessionKey struct {
	who access.Principal
	key []byte
}

func newSessions(all []access.Principal, tokens func(context.Context, string) (store.TokenRow, error), v *access.Verifier) sessions {
	s := sessions{tokens: tokens, now: time.Now, sealer: newSealer(all[0].Token), verifier: v}
	if c := v.Console(); c != nil {
		s.purpose = "session\n" + v.Issuer() + "\n" + c.ClientID
	}
	for _, p := range all {
		key := hmac.New(sha256.New, []byte(p.Token))
		key.Write([]byte("riposte/session/2\n"))
		s.keys = append(s.keys, sessionKey{p, key.Sum(nil)})
	}
	return s
}

// signedBytes are 8 of expiry, 16 random ones and 16 of the token's id.
const signedBytes = 8 + 16 + 16

// begin makes a session, which ends with the token at the latest.
func (s sessions) begin(who access.Identity) (value string, expires time.Time, err error) {
	expires = s.now().Add(access.MaxSession)
	if !who.Expires.IsZero() && who.Expires.Before(expires) {
		expires = who.Expires
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	b = append(b, make([]byte, 32)...)
	_, _ = rand.Read(b[8:24]) // never fails
	if who.TokenID == "" {
		for _, k := range s.keys {
			if k.who.Name == who.Name {
				return base64.RawURLEncoding.EncodeToString(append(b, k.sign(b)...)), expires, nil
			}
		}
		return "", expires, problemf("bad_token", "sign in with a token of the responder's; one of an issuer or a cluster is sent with each request")
	}
	id, err := uuid.Parse(who.TokenID)
	copy(b[24:], id[:])
	return base64.RawURLEncoding.EncodeToString(append(b, s.keys[0].sign(b)...)), expires, err
}

func (k sessionKey) sign(b []byte) []byte {
	m := hmac.New(sha256.New, k.key)
	m.Write(b)
	return m.Sum(nil)
}

// sealedPrefix tells a sealed session from a signed one.
const sealedPrefix = "s."

// maxSession bounds a session's cookie: browsers keep no longer ones.
const maxSession = 3800

// signedIn is somebody who signed in through the issuer.
type signedIn struct {
	access.Person
	access.Identity
	until time.Time
}

// sealed is a sealed session's content.
type sealed struct {
	access.Person
	Until int64 `json:"e"`
}

// seal makes a session for somebody of the issuer.
func (s sessions) seal(who signedIn) (string, error) {
	text, err := s.sealer.seal(s.purpose, sealed{who.Person, who.until.Unix()})
	if err == nil && len(text) > maxSession {
		err = fmt.Errorf("%w: %s is in too many groups with grants for a browser to keep", access.ErrSignIn, who.Name)
	}
	return sealedPrefix + text, err
}

// unseal says whose a sealed session is. What they may do is what the access file says
// now.
func (s sessions) unseal(text string) (access.Identity, error) {
	var is sealed
	if s.verifier.Console() == nil || s.sealer.open(s.purpose, text, &is) != nil || s.now().Unix() >= is.Until {
		return access.Identity{}, access.ErrUnknown
	}
	who, err := s.verifier.Identity(is.Person)
	who.Expires = time.Unix(is.Until, 0)
	return who, err
}

// check says whose a session is, or access.ErrUnknown.
func (s sessions) check(ctx context.Context, value string) (access.Identity, error) {
	if text, ok := strings.CutPrefix(value, sealedPrefix); ok {
		return s.unseal(text)
	}
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(b) != signedBytes+sha256.Size {
		return access.Identity{}, access.ErrUnknown
	}
	var signer *access.Principal
	for i := range s.keys {
		if hmac.Equal(b[signedBytes:], s.keys[i].sign(b[:signedBytes])) {
			signer = &s.keys[i].who
		}
	}
	if signer == nil || s.now().Unix() >= int64(binary.BigEndian.Uint64(b)) {
		return access.Identity{}, access.ErrUnknown
	}
	id := uuid.UUID(b[24:signedBytes])
	if id == uuid.Nil {
		return access.Identity{Name: signer.Name, Grants: signer.Grants}, nil
	}
	row, err := s.tokens(ctx, id.String())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return access.Identity{}, access.ErrUnknown
	case err != nil:
		return access.Identity{}, errors.Join(access.ErrUnavailable, err)
	case row.RevokedAt != nil || !s.now().Before(row.ExpiresAt):
		return access.Identity{}, access.ErrUnknown
	}
	return access.OfToken(row)
}

// login trades the token for a session cookie.
func (s *Server) login(w http.ResponseWriter, c *call) {
	if err := s.signIn(w, c); err != nil {
		s.refuse(w, c.Request, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) signIn(w http.ResponseWriter, c *call) error {
	r := c.Request
	if err := ownPage(r); err != nil {
		return err
	}
	who, err := s.recognize(r, strings.TrimSpace(c.body.(*api.Login).Token))
	if err != nil {
		return err
	}
	value, expires, err := s.sessions.begin(who)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	if err := s.record(ctx, audit.Entry{Kind: audit.Login, Actor: audit.User(who.Name), Result: "accepted", Note: "signed in at the console"}); err != nil {
		return err
	}
	s.setSession(w, r, value, expires)
	return nil
}

// ownPage refuses who signs in on another site's page. What sends neither header is no
// browser of today.
func ownPage(r *http.Request) error {
	if (r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "") && !sameOrigin(r) {
		return problemf("cross_origin", "sign in on the console's own page")
	}
	return nil
}

func (s *Server) setSession(w http.ResponseWriter, r *http.Request, value string, expires time.Time) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", Expires: expires, MaxAge: int(expires.Sub(s.sessions.now()) / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.overTLS(r),
	})
}

// overTLS says that the browser is connected by TLS, perhaps to a proxy.
func (s *Server) overTLS(r *http.Request) bool {
	c := s.verifier.Console()
	return r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" || c != nil && strings.HasPrefix(c.URL, "https://") && strings.EqualFold(c.URL[len("https://"):], r.Host)
}

// logout makes the browser forget its session, and says where to go so that the issuer
// does too.
func (s *Server) logout(w http.ResponseWriter, c *call) {
	ctx, cancel := context.WithTimeout(c.Context(), queryTimeout)
	defer cancel()
	if err := s.record(ctx, audit.Entry{Kind: audit.Logout, Actor: c.actor(), Result: "accepted", Note: "signed out at the console"}); err != nil {
		s.refuse(w, c.Request, err)
		return
	}
	forget(w, sessionCookie)
	var out api.SignedOut
	if strings.HasPrefix(c.who.Name, "oidc:") {
		out.Location = s.verifier.EndSession()
	}
	s.answer(w, c.Request, out)
}

// showIdentity says who asks.
func (s *Server) showIdentity(_ context.Context, c *call) (any, error) {
	who := api.Identity{Name: c.who.Name, Grants: []api.Grant{}}
	if !c.who.Expires.IsZero() {
		at := c.who.Expires.UTC()
		who.ExpiresAt = &at
	}
	for _, g := range c.who.Grants {
		who.Grants = append(who.Grants, grantResource(g))
	}
	return who, nil
}

func grantResource(g access.Grant) api.Grant {
	return api.Grant{Role: g.Role.String(), Clusters: g.Clusters, Namespaces: g.Namespaces}
}
