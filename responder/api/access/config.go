package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"riposte/responder/store"
)

// Config is the access file (YAML, docs/access.md): who of an OpenID Connect issuer
// or of a Kubernetes cluster may do what.
type Config struct {
	OIDC       *OIDC       `yaml:"oidc"`
	Kubernetes *Kubernetes `yaml:"kubernetes"`
	Grants     []Rule      `yaml:"grants"`
}

// OIDC is an issuer whose ID and access tokens (JWT) are taken.
type OIDC struct {
	// Issuer is its address, as its tokens name it.
	Issuer string `yaml:"issuer"`
	// Audience must be among a token's audiences.
	Audience string `yaml:"audience"`
	// UsernameClaim and GroupsClaim name the claims; "email" and "groups". An e-mail
	// address that the issuer did not verify is not taken.
	UsernameClaim string `yaml:"username_claim"`
	GroupsClaim   string `yaml:"groups_claim"`
	// Console lets people sign in at the console through the issuer; nil: with a token alone.
	Console *Console `yaml:"console"`
}

// Kubernetes takes tokens that the cluster vouches for by TokenReview.
type Kubernetes struct {
	// Audiences are what a token may be for; empty: the API server's own. A token for
	// an audience of its own cannot be used against the API server by whoever takes it.
	Audiences []string `yaml:"audiences"`
}

// Rule gives a role to subjects: oidc:user:NAME, oidc:group:NAME, k8s:user:NAME,
// k8s:group:NAME.
type Rule struct {
	To         []string `yaml:"to"`
	Role       string   `yaml:"role"`
	Clusters   []string `yaml:"clusters"`
	Namespaces []string `yaml:"namespaces"`

	grant Grant
}

// ParseConfig reads an access file; its errors name the place.
func ParseConfig(b []byte) (Config, error) {
	var c Config
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, err
	}
	if err := c.OIDC.check(); err != nil {
		return Config{}, err
	}
	for i := range c.Grants {
		if err := c.Grants[i].check(c); err != nil {
			return Config{}, fmt.Errorf("grants[%d]: %w", i, err)
		}
	}
	return c, nil
}

func (o *OIDC) check() error {
	if o == nil {
		return nil
	}
	if _, err := webAddress(o.Issuer); err != nil {
		return fmt.Errorf("oidc.issuer: %w", err)
	}
	if o.Audience == "" {
		return errors.New("oidc.audience: say which; without one, tokens for anybody else's programs would be taken")
	}
	if o.UsernameClaim == "" {
		o.UsernameClaim = "email"
	}
	if o.GroupsClaim == "" {
		o.GroupsClaim = "groups"
	}
	if o.Console == nil {
		return nil
	}
	if o.Console.ClientID == "" {
		o.Console.ClientID = o.Audience
	}
	return o.Console.check()
}

// webAddress reads an https address; on this machine http will do.
func webAddress(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	local := err == nil && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (!local || u.Scheme != "http") {
		return nil, fmt.Errorf("%.200q is no https address", s)
	}
	return u, nil
}

func (r *Rule) check(c Config) error {
	role, err := ParseRole(r.Role)
	if err != nil {
		return err
	}
	r.grant = Grant{Role: role, Reach: store.Reach{Clusters: r.Clusters, Namespaces: r.Namespaces}}
	if len(r.To) == 0 {
		return errors.New("to: say to whom")
	}
	for _, to := range r.To {
		kind, rest, _ := strings.Cut(to, ":")
		what, name, _ := strings.Cut(rest, ":")
		switch {
		case kind != "oidc" && kind != "k8s" || what != "user" && what != "group" || name == "":
			return fmt.Errorf("to: %.200q is none of oidc:user:NAME, oidc:group:NAME, k8s:user:NAME, k8s:group:NAME", to)
		case kind == "oidc" && c.OIDC == nil || kind == "k8s" && c.Kubernetes == nil:
			return fmt.Errorf("to: %.200q: there is no %s section", to, map[string]string{"oidc": "oidc", "k8s": "kubernetes"}[kind])
		}
	}
	return r.grant.Check()
}

// named are those of somebody's groups that a rule names.
func (c Config) named(kind string, groups []string) []string {
	var all []string
	for _, g := range groups {
		named := func(r Rule) bool { return slices.Contains(r.To, kind+":group:"+g) }
		if slices.ContainsFunc(c.Grants, named) && !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}

// grants is what the rules give to somebody.
func (c Config) grants(s subject) []Grant {
	is := []string{s.kind + ":user:" + s.user}
	for _, g := range s.groups {
		is = append(is, s.kind+":group:"+g)
	}
	var all []Grant
	for _, r := range c.Grants {
		if slices.ContainsFunc(r.To, func(to string) bool { return slices.Contains(is, to) }) {
			all = append(all, r.grant)
		}
	}
	return all
}
