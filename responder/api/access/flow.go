package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// ErrSignIn is in every error that says why somebody was not signed in. Its text is
// short and may be shown, though a part of it may be the issuer's.
var ErrSignIn = errors.New("not signed in")

func refusal(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrSignIn, fmt.Errorf(format, args...))
}

// Attempt is a sign-in that was begun. The browser that began it keeps it, so that no
// other one can end it.
type Attempt struct {
	// State comes back in the issuer's answer, Nonce in its token; Verifier (PKCE) is
	// shown for the code.
	State, Nonce, Verifier string
}

// Person is whom the issuer vouched for: what their session keeps.
type Person struct {
	User string `json:"u"`
	// Groups are those that a grant names.
	Groups []string `json:"g,omitempty"`
}

// flow is the authorization code flow of OpenID Connect with PKCE.
type flow struct {
	config oauth2.Config
	tokens *oidc.IDTokenVerifier
	oidc   OIDC
	// namesItself: the issuer says in each answer who it is (RFC 9207).
	namesItself bool
	endSession  string
}

func newFlow(o OIDC, provider *oidc.Provider, now func() time.Time) (*flow, error) {
	var said struct {
		Authorization string   `json:"authorization_endpoint"`
		Token         string   `json:"token_endpoint"`
		EndSession    string   `json:"end_session_endpoint"`
		AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
		NamesItself   bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := provider.Claims(&said); err != nil {
		return nil, fmt.Errorf("read what the issuer says of itself: %w", err)
	}
	for what, address := range map[string]string{"authorization_endpoint": said.Authorization, "token_endpoint": said.Token} {
		if _, err := webAddress(address); err != nil {
			return nil, fmt.Errorf("the issuer's %s: %w", what, err)
		}
	}
	if _, err := webAddress(said.EndSession); err != nil {
		said.EndSession = "" // without one, its session stays when ours ends
	}
	style := oauth2.AuthStyleInHeader // what OpenID Connect takes as the default
	if o.Console.ClientSecret == "" || said.AuthMethods != nil && !slices.Contains(said.AuthMethods, "client_secret_basic") {
		style = oauth2.AuthStyleInParams
	}
	return &flow{
		config: oauth2.Config{
			ClientID: o.Console.ClientID, ClientSecret: o.Console.ClientSecret, Scopes: o.Console.Scopes,
			RedirectURL: o.Console.URL + CallbackPath,
			Endpoint:    oauth2.Endpoint{AuthURL: said.Authorization, TokenURL: said.Token, AuthStyle: style},
		},
		oidc: o, namesItself: said.NamesItself, endSession: said.EndSession,
		tokens: provider.Verifier(&oidc.Config{ClientID: o.Console.ClientID, Now: now}),
	}, nil
}

// Console is how people sign in through the issuer; nil if they cannot.
func (v *Verifier) Console() *Console {
	if v.oidc == nil {
		return nil
	}
	return v.oidc.Console
}

// Issuer is the OpenID Connect issuer's address; empty if there is none.
func (v *Verifier) Issuer() string {
	if v.oidc == nil {
		return ""
	}
	return v.oidc.Issuer
}

// flow is there once the issuer could be asked; ErrUnavailable or ErrSignIn until then.
func (v *Verifier) flow() (*flow, error) {
	if v.Console() == nil {
		return nil, refusal("nobody signs in through an issuer here")
	}
	k, err := v.oidc.discover()
	if err != nil {
		return nil, err
	}
	return k.flow, k.noFlow
}

// BeginSignIn says where to send a browser so that the issuer asks who is there.
func (v *Verifier) BeginSignIn() (a Attempt, to string, err error) {
	f, err := v.flow()
	if err != nil {
		return a, "", err
	}
	a = Attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	return a, f.config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// EndSession is where to send a browser so that the issuer forgets it too; empty if
// that cannot be said. The issuer must know the console's address to send it back.
func (v *Verifier) EndSession() string {
	f, err := v.flow()
	if err != nil || f.endSession == "" {
		return ""
	}
	u, err := url.Parse(f.endSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", f.config.ClientID)
	q.Set("post_logout_redirect_uri", f.oidc.Console.URL+"/")
	u.RawQuery = q.Encode()
	return u.String()
}

// FinishSignIn reads the issuer's answer to an attempt, with which it sent the browser
// back: ErrSignIn if it is not for this attempt or vouches for nobody, ErrUnavailable
// if the issuer does not answer.
func (v *Verifier) FinishSignIn(ctx context.Context, a Attempt, answer url.Values) (Person, error) {
	f, err := v.flow()
	if err != nil {
		return Person{}, err
	}
	for name, values := range answer {
		if len(values) > 1 {
			return Person{}, refusal("the answer has %.40q twice", name)
		}
	}
	iss := answer.Get("iss")
	switch {
	case a.State == "" || subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(a.State)) != 1:
		return Person{}, refusal("the answer is not to what was asked here (state); begin again")
	case iss != "" && iss != f.oidc.Issuer, iss == "" && f.namesItself:
		return Person{}, refusal("the answer is not the issuer's that was asked (iss)")
	case answer.Get("error") != "":
		return Person{}, issuerSaid(answer.Get("error"), answer.Get("error_description"))
	case answer.Get("code") == "":
		return Person{}, refusal("the answer has no code")
	}
	s, err := f.redeem(ctx, v.oidc, a, answer.Get("code"))
	if err != nil {
		return Person{}, err
	}
	return Person{User: s.user, Groups: v.config.named(s.kind, s.groups)}, nil
}

// redeem trades a code for a token, and reads it.
func (f *flow) redeem(ctx context.Context, i *issuer, a Attempt, code string) (subject, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, i.http), issuerTimeout)
	defer cancel()
	token, err := f.config.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	var said *oauth2.RetrieveError
	switch {
	case errors.As(err, &said) && said.ErrorCode != "" && said.Response.StatusCode < 500:
		return subject{}, issuerSaid(said.ErrorCode, said.ErrorDescription)
	case errors.As(err, &said):
		// Not its text, which has the answer's whole body.
		return subject{}, fmt.Errorf("%w: the issuer answered %s to the code", ErrUnavailable, said.Response.Status)
	case err != nil:
		return subject{}, fmt.Errorf("%w: trade the code: %w", ErrUnavailable, err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" || len(raw) > maxToken {
		return subject{}, refusal("the issuer gave no ID token, or one of more than %d bytes", maxToken)
	}
	id, err := checked(ctx, f.tokens, raw)
	if err != nil {
		if errors.Is(err, ErrUnavailable) {
			return subject{}, err
		}
		return subject{}, refusal("the issuer's token does not hold: %s", short(reason(err)))
	}
	if err := f.meant(id, a); err != nil {
		return subject{}, err
	}
	if id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil {
		return subject{}, refusal("the issuer's two tokens do not belong together (at_hash)")
	}
	s, err := i.subject(id)
	if err != nil {
		return subject{}, refusal("the issuer's token does not hold: %s", short(reason(err)))
	}
	return s, nil
}

// meant says that a token is the answer to this attempt, and for this client.
func (f *flow) meant(id *oidc.IDToken, a Attempt) error {
	if a.Nonce == "" || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return refusal("the issuer's token is not for this sign-in (nonce)")
	}
	var party struct {
		Authorized string `json:"azp"`
	}
	if err := id.Claims(&party); err != nil {
		return refusal("the issuer's token cannot be read")
	}
	if (party.Authorized != "" || len(id.Audience) > 1) && party.Authorized != f.config.ClientID {
		return refusal("the issuer's token is another client's (azp)")
	}
	return nil
}

// Identity is what a person may do now.
func (v *Verifier) Identity(p Person) (Identity, error) {
	return v.external(subject{kind: "oidc", user: p.User, groups: p.Groups}, nil)
}

// maxSaid bounds what is shown of others' texts.
const maxSaid = 200

func issuerSaid(code, description string) error {
	if description != "" {
		code += ": " + description
	}
	return refusal("the issuer says %s", short(code))
}

// short is the beginning of a text, on one line.
func short(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return text
}

// reason leaves out that a token is nobody's, which is said already.
func reason(err error) string {
	text := strings.TrimPrefix(err.Error(), ErrUnknown.Error())
	return strings.TrimLeft(text, ":\n ")
}
