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
	verifier *oidc.IDTokenVerifier
	failed   error
	failedAt time.Time
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

// discover returns the verifier. The context is not the request's: the keys are
// fetched later too, for other requests.
func (i *issuer) discover() (*oidc.IDTokenVerifier, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.verifier != nil {
		return i.verifier, nil
	}
	if i.failed != nil && i.now().Sub(i.failedAt) < askIssuerAgain {
		return nil, i.failed
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(context.Background(), i.http), i.Issuer)
	if err != nil {
		i.failed, i.failedAt = fmt.Errorf("ask the issuer %s for its keys: %w", i.Issuer, err), i.now()
		return nil, i.failed
	}
	i.verifier = provider.Verifier(&oidc.Config{ClientID: i.Audience, Now: i.now})
	return i.verifier, nil
}

func (i *issuer) verify(ctx context.Context, token string) (subject, error) {
	v, err := i.discover()
	if err != nil {
		return subject{}, errors.Join(ErrUnavailable, err)
	}
	t, err := v.Verify(ctx, token)
	if err != nil {
		if strings.Contains(err.Error(), "fetching keys") {
			return subject{}, errors.Join(ErrUnavailable, err)
		}
		return subject{}, errors.Join(ErrUnknown, err)
	}
	var claims map[string]json.RawMessage
	if err := t.Claims(&claims); err != nil {
		return subject{}, errors.Join(ErrUnknown, err)
	}
	s := subject{kind: "oidc", expires: t.Expiry}
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
