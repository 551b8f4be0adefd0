package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Console is how people sign in at the console through the issuer.
type Console struct {
	// URL is the console's address as browsers know it. The issuer sends them back to it,
	// below CallbackPath, and nowhere else.
	URL string `yaml:"url"`
	// ClientID is what the issuer calls Riposte; the default is the audience.
	ClientID string `yaml:"client_id"`
	// ClientSecretFile holds the client's secret; none for a public client, which PKCE
	// alone protects.
	ClientSecretFile string `yaml:"client_secret_file"`
	// Scopes are asked for beside openid; the default is profile and email.
	Scopes []string `yaml:"scopes"`
	// Session is how long somebody stays signed in; 8 hours, and at most 12.
	Session time.Duration `yaml:"session"`

	// ClientSecret is what the file holds; who reads it fills it in.
	ClientSecret string `yaml:"-"`
}

// CallbackPath is where the issuer sends a browser back to.
const CallbackPath = "/signin/callback"

// Lengths of a session.
const (
	// MaxSession is how long a browser stays signed in at most.
	MaxSession     = 12 * time.Hour
	defaultSession = 8 * time.Hour
	minSession     = time.Minute
)

func (c *Console) check() error {
	u, err := webAddress(c.URL)
	if err != nil {
		return fmt.Errorf("oidc.console.url: %w", err)
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("oidc.console.url: %.200q: the console is at the root of its address, without a path", c.URL)
	}
	c.URL = u.Scheme + "://" + u.Host
	if c.Scopes == nil {
		c.Scopes = []string{"profile", "email"}
	}
	if slices.ContainsFunc(c.Scopes, func(s string) bool { return s == "" || strings.ContainsFunc(s, unprintable) }) {
		return errors.New("oidc.console.scopes: a scope is one word")
	}
	if !slices.Contains(c.Scopes, "openid") {
		c.Scopes = append([]string{"openid"}, c.Scopes...)
	}
	if c.Session == 0 {
		c.Session = defaultSession
	}
	if c.Session < minSession || c.Session > MaxSession {
		return fmt.Errorf("oidc.console.session: %s is not between %s and %s", c.Session, minSession, MaxSession)
	}
	return nil
}
