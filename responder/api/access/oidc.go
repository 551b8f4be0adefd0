package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	// issuerTimeout bounds one request to the issuer.
	issuerTimeout = 10 * time.Second
	// askIssuerAgain is how long an issuer that could not be reached is left alone.
	askIssuerAgain = 10 * time.Second
	// maxGroups bounds the groups of one token.
	maxGroups = 1000
)

// issuer verifies an OpenID Connect issuer's tokens. It asks the issuer for its keys
// when the first token comes, so that a responder starts without it.
type issuer struct {
	OIDC
	http *http.Client
	now  func() time.Time

	mu       sync.Mutex
	known    *known
	failed   error
	failedAt time.Time
}

// known is what an issuer said about itself.
type known struct {
	// bearer verifies tokens that are sent with a request.
	bearer *oidc.IDTokenVerifier
	// flow signs people in at the console; nil where that is not set up, or with an
	// issuer that cannot, which noFlow says why. Its tokens are taken all the same.
	flow   *flow
	noFlow error
}

func newIssuer(o OIDC, now func() time.Time) *issuer {
	return &issuer{OIDC: o, http: &http.Client{Timeout: issuerTimeout}, now: now}
}

// made says that a token claims to be this issuer's. Nothing is verified by that.
func (i *issuer) made(token string) bool {
	part := strings.Split(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(part[1])
	var claims struct {
		Issuer string `json:"iss"`
	}
	return err == nil && json.Unmarshal(b, &claims) == nil && claims.Issuer == i.Issuer
}

// discover asks the issuer about itself, once. The context is not the request's: the
// keys are fetched later too, for other requests.
func (i *issuer) discover() (*known, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.known != nil {
		return i.known, nil
	}
	if i.failed != nil && i.now().Sub(i.failedAt) < askIssuerAgain {
		return nil, i.failed
	}
	k, err := i.ask()
	if err != nil {
		i.failed, i.failedAt = errors.Join(ErrUnavailable, fmt.Errorf("ask the issuer %s about itself: %w", i.Issuer, err)), i.now()
		return nil, i.failed
	}
	i.known = k
	return k, nil
}

func (i *issuer) ask() (*known, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(context.Background(), i.http), i.Issuer)
	if err != nil {
		return nil, err
	}
	k := &known{bearer: provider.Verifier(&oidc.Config{ClientID: i.Audience, Now: i.now})}
	if i.Console != nil {
		if k.flow, err = newFlow(i.OIDC, provider, i.now); err != nil {
			k.noFlow = errors.Join(ErrUnavailable, err)
		}
	}
	return k, nil
}

func (i *issuer) verify(ctx context.Context, token string) (subject, error) {
	k, err := i.discover()
	if err != nil {
		return subject{}, err
	}
	t, err := checked(ctx, k.bearer, token)
	if err != nil {
		return subject{}, err
	}
	return i.subject(t)
}

// checked verifies signature, issuer, audience and end of a token.
func checked(ctx context.Context, v *oidc.IDTokenVerifier, token string) (*oidc.IDToken, error) {
	t, err := v.Verify(ctx, token)
	switch {
	case err == nil:
		return t, nil
	case strings.Contains(err.Error(), "fetching keys"):
		return nil, errors.Join(ErrUnavailable, err)
	}
	return nil, errors.Join(ErrUnknown, err)
}

// subject is whom a verified token names.
func (i *issuer) subject(t *oidc.IDToken) (s subject, err error) {
	var claims map[string]json.RawMessage
	if err := t.Claims(&claims); err != nil {
		return subject{}, errors.Join(ErrUnknown, err)
	}
	s = subject{kind: "oidc", expires: t.Expiry}
	if json.Unmarshal(claims[i.UsernameClaim], &s.user) != nil || s.user == "" {
		return subject{}, fmt.Errorf("%w: it has no claim %s", ErrUnknown, i.UsernameClaim)
	}
	if verified, ok := claims["email_verified"]; i.UsernameClaim == "email" && ok && string(verified) != "true" {
		return subject{}, fmt.Errorf("%w: its e-mail address is not verified", ErrUnknown)
	}
	if raw, ok := claims[i.GroupsClaim]; ok {
		if s.groups, err = texts(raw); err != nil {
			return subject{}, fmt.Errorf("%w: claim %s: %w", ErrUnknown, i.GroupsClaim, err)
		}
	}
	return s, nil
}

// texts reads a claim that is one text or a list of some.
func texts(raw json.RawMessage) ([]string, error) {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return []string{one}, nil
	}
	var many []string
	if err := json.Unmarshal(raw, &many); err != nil {
		return nil, err
	}
	if len(many) > maxGroups {
		return nil, fmt.Errorf("more than %d groups", maxGroups)
	}
	return many, nil
}
