package responder

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"riposte/responder/api/access"
	"riposte/responder/audit"
	"riposte/responder/bus"
)

// maxSecret bounds a key's or token's file.
const maxSecret = 64 << 10

// minToken is the fewest characters of a token: 16 random ones cannot be guessed.
const minToken = 16

// secrets are read once, when the responder is made.
type secrets struct {
	natsSeed []byte
	// nodeAuthSeed lets agents in, nil for none.
	nodeAuthSeed []byte
	orderKey     ed25519.PrivateKey
	// checkpointKey signs the record's checkpoints, nil for none; the old one hands over to it.
	checkpointKey, oldCheckpointKey ed25519.PrivateKey
	// firstCheckpointKey is trusted beside their public halves, nil for none.
	firstCheckpointKey ed25519.PublicKey
	// principals are the bearer of the one token, and people with their own.
	principals []access.Principal
	// access says who of an issuer or the cluster may do what.
	access access.Config
}

func readSecrets(o Options) (s secrets, err error) {
	if s.natsSeed, err = readSecret("the NATS key", o.NATSKeyFile); err != nil {
		return s, err
	}
	if o.NodeAuthKeyFile != "" {
		if s.nodeAuthSeed, err = readSecret("the key that lets agents in", o.NodeAuthKeyFile); err != nil {
			return s, err
		}
		if _, err := bus.AccountKey(s.nodeAuthSeed); err != nil {
			return s, fmt.Errorf("%s: %w", o.NodeAuthKeyFile, err)
		}
	}
	for _, k := range []struct {
		what, file string
		into       *ed25519.PrivateKey
	}{
		{"the key that signs orders", o.OrderKeyFile, &s.orderKey},
		{"the key that signs checkpoints", o.CheckpointKeyFile, &s.checkpointKey},
		{"the old key that signed checkpoints", o.OldCheckpointKeyFile, &s.oldCheckpointKey},
	} {
		if k.file == "" {
			continue // the order's is needed, which the options check
		}
		if *k.into, err = readKey(k.what, k.file); err != nil {
			return s, err
		}
	}
	if o.FirstCheckpointKeyFile != "" {
		b, err := os.ReadFile(o.FirstCheckpointKeyFile)
		if err == nil {
			s.firstCheckpointKey, err = audit.ParsePublicKey(b)
		}
		if err != nil {
			return s, fmt.Errorf("the public key of the first checkpoints, %s: %w", o.FirstCheckpointKeyFile, err)
		}
	}
	token, err := readSecret("the API's token", o.TokenFile)
	if err != nil {
		return s, err
	}
	if err := checkToken(string(token)); err != nil {
		return s, fmt.Errorf("the API's token, %s: %w", o.TokenFile, err)
	}
	s.principals = []access.Principal{{Name: "token", Token: string(token), Grants: access.Everywhere(access.Admin)}}
	if o.AccessFile != "" {
		if s.access, err = readAccess(o.AccessFile); err != nil {
			return s, err
		}
	}
	if o.PeopleFile == "" {
		return s, nil
	}
	people, err := readSecret("the people's tokens", o.PeopleFile)
	if err != nil {
		return s, err
	}
	if s.principals, err = parsePeople(s.principals, string(people)); err != nil {
		return s, fmt.Errorf("the people's tokens, %s: %w", o.PeopleFile, err)
	}
	return s, nil
}

func checkToken(token string) error {
	if len(token) < minToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("it must be one word of at least %d ASCII characters; `openssl rand -hex 32` makes one", minToken)
	}
	return nil
}

var personShape = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)

// readAccess reads the access file, which holds no secret but may name one's file.
func readAccess(file string) (access.Config, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return access.Config{}, fmt.Errorf("the access file: %w", err)
	}
	c, err := access.ParseConfig(b)
	if err != nil {
		return c, fmt.Errorf("the access file %s: %w", file, err)
	}
	if c.OIDC != nil && c.OIDC.Console != nil && c.OIDC.Console.ClientSecretFile != "" {
		secret, err := readSecret("the OpenID Connect client's secret", c.OIDC.Console.ClientSecretFile)
		if err != nil {
			return c, err
		}
		c.OIDC.Console.ClientSecret = string(secret)
	}
	return c, nil
}

// parsePeople reads a line for each person: a name, a token, and perhaps a role, admin
// without one, which clusters=a,b and namespaces=c,d limit. Lines that begin with # and
// empty ones mean nothing. No name and no token may be there twice:
// one person must not be able to agree for two.
func parsePeople(all []access.Principal, text string) ([]access.Principal, error) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		words := append(strings.Fields(rest), "")
		token := words[0]
		grant, err := parseGrant(words[1:])
		twice := func(p access.Principal) bool { return p.Name == name || p.Token == token }
		switch {
		case !personShape.MatchString(name):
			return nil, fmt.Errorf("line %d: a line is a name of lower-case letters, digits and . _ @ -, a space, and a token", number)
		case checkToken(token) != nil:
			return nil, fmt.Errorf("line %d: the token of %s: %w", number, name, checkToken(token))
		case slices.ContainsFunc(all, twice):
			return nil, fmt.Errorf("line %d: the name %s or its token is there already", number, name)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: what %s may do: %w", number, name, err)
		}
		all = append(all, access.Principal{Name: name, Token: token, Grants: []access.Grant{grant}})
	}
	return all, nil
}

// parseGrant does not repeat what it cannot read: it may be the end of a token in
// which somebody put a space.
func parseGrant(words []string) (access.Grant, error) {
	g := access.Grant{Role: access.Admin}
	bad := fmt.Errorf("after the token stand a role (%s) and clusters=… and namespaces=…, each once", strings.Join(access.RoleNames(), ", "))
	for i, word := range words {
		key, value, limit := strings.Cut(word, "=")
		switch {
		case word == "":
		case limit && key == "clusters" && g.Clusters == nil:
			g.Clusters = strings.Split(value, ",")
		case limit && key == "namespaces" && g.Namespaces == nil:
			g.Namespaces = strings.Split(value, ",")
		case i == 0 && !limit:
			role, err := access.ParseRole(word)
			if err != nil {
				return g, bad
			}
			g.Role = role
		default:
			return g, bad
		}
	}
	return g, g.Check()
}

// readSecret reads a file that others must not be able to read.
func readSecret(what, file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	// A group may read: that is how Kubernetes mounts secrets for a user.
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s: everybody on this machine can use %s (mode %04o); run `chmod o-rwx %[2]s`", what, file, info.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", what, err)
	case len(b) > maxSecret:
		return nil, fmt.Errorf("%s: %s has more than %d bytes", what, file, maxSecret)
	}
	if b = bytes.TrimSpace(b); len(b) == 0 {
		return nil, fmt.Errorf("%s: %s is empty", what, file)
	}
	return b, nil
}

func readKey(what, file string) (ed25519.PrivateKey, error) {
	b, err := readSecret(what, file)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(b)
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", what, file, err)
	}
	return key, nil
}

func parseKey(b []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("it is no PEM private key; `openssl genpkey -algorithm ed25519` makes one")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ed, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is a %T, not an Ed25519 key; `openssl genpkey -algorithm ed25519` makes one", key)
	}
	return ed, nil
}
