// Package oidctest is an OpenID Connect issuer for tests: it describes itself, signs
// with a key of its own, and signs people in by the authorization code flow, for which
// it insists on PKCE, on the registered address and on each code's single use.
package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// Client is what the issuer knows of a client.
type Client struct {
	ID string
	// Secret is empty for a public client.
	Secret string
	// Redirect is where browsers are sent back to, LoggedOut where after they signed out.
	Redirect, LoggedOut string
}

// Behaviour is what a test can change.
type Behaviour struct {
	// Claims are laid over those of an ID token from the token endpoint; nil takes one away.
	Claims map[string]any
	// Key signs it, in place of the issuer's.
	Key any
	// Deny and Says are the error with which a browser is sent back.
	Deny, Says string
	// NamesItself: answers carry iss, and the description says so (RFC 9207).
	NamesItself bool
	// Describe is laid over the description.
	Describe map[string]any
}

// Issuer is a running one.
type Issuer struct {
	*httptest.Server
	Key *ecdsa.PrivateKey
	// Down makes it answer 503 to everything; Asks counts requests, Ended those that
	// signed out.
	Down        atomic.Bool
	Asks, Ended atomic.Int32

	mu      sync.Mutex
	client  Client
	behaves Behaviour
	codes   map[string]granted
}

// granted is what a code stands for.
type granted struct{ challenge, nonce, redirect string }

// New starts one that knows no client.
func New(t testing.TB) *Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p := &Issuer{Key: key, codes: map[string]granted{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.describe)
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /logout", p.logout)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.Asks.Add(1)
		if p.Down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

// Register makes a client known, the only one.
func (p *Issuer) Register(c Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.client = c
}

// Behave changes what it does from now on.
func (p *Issuer) Behave(b Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.behaves = b
}

// Sign makes a token of good claims with some changed, for the audience riposte.
func (p *Issuer) Sign(t testing.TB, key any, change map[string]any) string {
	t.Helper()
	token, err := sign(key, p.claims("riposte", change))
	require.NoError(t, err)
	return token
}

func (p *Issuer) claims(audience string, change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": p.URL, "aud": audience, "sub": "1234", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"email": "jane@example.com", "email_verified": true, "groups": []string{"sre", "all"},
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func sign(key any, claims map[string]any) (string, error) {
	alg := jose.ES256
	if _, ok := key.([]byte); ok {
		alg = jose.HS256
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(b)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (p *Issuer) describe(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]any{
		"issuer": p.URL, "jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
		"authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "end_session_endpoint": p.URL + "/logout",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": p.behaves.NamesItself,
	}
	maps.Copy(all, p.behaves.Describe)
	answer(w, http.StatusOK, all)
}

// authorize sends the browser back at once, as if somebody had signed in before.
func (p *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	if q.Get("client_id") != p.client.ID || q.Get("redirect_uri") != p.client.Redirect {
		http.Error(w, "unknown client or address", http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}}
	if p.behaves.NamesItself {
		back.Set("iss", p.URL)
	}
	switch {
	case p.behaves.Deny != "":
		back.Set("error", p.behaves.Deny)
		back.Set("error_description", p.behaves.Says)
	case q.Get("response_type") != "code" || !slices.Contains(strings.Fields(q.Get("scope")), "openid") || q.Get("nonce") == "":
		back.Set("error", "invalid_request")
	case q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != base64.RawURLEncoding.EncodedLen(sha256.Size):
		back.Set("error", "invalid_request")
		back.Set("error_description", "PKCE is required")
	default:
		code := rand.Text()
		p.codes[code] = granted{q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")}
		back.Set("code", code)
	}
	http.Redirect(w, r, p.client.Redirect+"?"+back.Encode(), http.StatusFound)
}

func (p *Issuer) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wrong := func(status int, code, says string) {
		answer(w, status, map[string]string{"error": code, "error_description": says})
	}
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != p.client.ID || secret != p.client.Secret {
		wrong(http.StatusUnauthorized, "invalid_client", "")
		return
	}
	code := r.PostFormValue("code")
	g, ok := p.codes[code]
	delete(p.codes, code)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case r.PostFormValue("grant_type") != "authorization_code":
		wrong(http.StatusBadRequest, "unsupported_grant_type", "")
	case !ok || g.redirect != r.PostFormValue("redirect_uri"):
		wrong(http.StatusBadRequest, "invalid_grant", "the code is unknown, or was used")
	case g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
		wrong(http.StatusBadRequest, "invalid_grant", "code_verifier does not match")
	default:
		var key any = p.Key
		if p.behaves.Key != nil {
			key = p.behaves.Key
		}
		change := map[string]any{"nonce": g.nonce}
		maps.Copy(change, p.behaves.Claims)
		signed, err := sign(key, p.claims(p.client.ID, change))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": signed})
	}
}

func (p *Issuer) logout(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	if q.Get("client_id") != p.client.ID || q.Get("post_logout_redirect_uri") != p.client.LoggedOut {
		http.Error(w, "unknown client or address", http.StatusBadRequest)
		return
	}
	p.Ended.Add(1)
	http.Redirect(w, r, p.client.LoggedOut, http.StatusFound)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// Authorize does what a browser does that was sent to the issuer, and returns the
// answer with which it is sent back.
func (p *Issuer) Authorize(t testing.TB, to string) url.Values {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)
	require.NoError(t, err)
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusFound, res.StatusCode)
	back, err := res.Location()
	require.NoError(t, err)
	return back.Query()
}
