package intake

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxConfig bounds the file of identities.
const maxConfig = 1 << 20

// Identity is one sender and what it may speak of.
type Identity struct {
	// Name stands in the record and in incidents' keys.
	Name string `yaml:"name"`
	// TokenSHA256 are hashes of its tokens, as `sha256sum` prints them; two while one
	// is replaced by the other. A token is random, so that its plain hash says nothing.
	TokenSHA256 []string `yaml:"token_sha256"`
	// Certificate is a DNS name, or the common name, of its client certificate.
	Certificate string `yaml:"certificate"`
	// Clusters it may speak of. Of several an alert must name one, in its output field
	// k8s.cluster.name or cluster.
	Clusters []string `yaml:"clusters"`
	// Namespaces it may speak of; empty: all. With a limit, an alert must name one.
	Namespaces []string `yaml:"namespaces"`

	sums [][sha256.Size]byte
}

// Identities are all senders that there are.
type Identities struct{ all []*Identity }

type config struct {
	Identities []*Identity `yaml:"identities"`
}

// ReadIdentities reads the YAML file of identities. Its errors name the place.
func ReadIdentities(file string) (*Identities, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("the intake's identities: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("the intake's identities: %w", err)
	}
	if len(b) > maxConfig {
		return nil, fmt.Errorf("the intake's identities: %s has more than %d bytes", file, maxConfig)
	}
	all, err := parseIdentities(b)
	if err != nil {
		return nil, fmt.Errorf("the intake's identities, %s: %w", file, err)
	}
	return all, nil
}

func parseIdentities(b []byte) (*Identities, error) {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	var c config
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(c.Identities) == 0 {
		return nil, errors.New("identities: there are none, so nobody could send anything")
	}
	names, secrets := map[string]bool{}, map[string]string{}
	for i, d := range c.Identities {
		if d == nil {
			return nil, fmt.Errorf("identities[%d]: is empty", i)
		}
		if err := d.check(); err != nil {
			return nil, fmt.Errorf("identities[%d]: %w", i, err)
		}
		if names[d.Name] {
			return nil, fmt.Errorf("identities[%d].name: %q is there twice", i, d.Name)
		}
		names[d.Name] = true
		for _, s := range append(slices.Clone(d.TokenSHA256), "certificate "+d.Certificate) {
			if other, taken := secrets[strings.ToLower(s)]; taken && s != "certificate " {
				return nil, fmt.Errorf("identities[%d]: %q has a token or certificate of %q: nobody could tell them apart", i, d.Name, other)
			}
			secrets[strings.ToLower(s)] = d.Name
		}
	}
	return &Identities{c.Identities}, nil
}

var identityName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (d *Identity) check() error {
	switch {
	case !identityName.MatchString(d.Name):
		return fmt.Errorf("name: %.100q is not 1 to 64 letters, digits, dots, dashes and underscores", d.Name)
	case len(d.TokenSHA256) == 0 && d.Certificate == "":
		return errors.New("give token_sha256 or certificate")
	case len(d.Clusters) == 0 || slices.Contains(d.Clusters, ""):
		return errors.New("clusters: name at least one")
	case slices.Contains(d.Namespaces, ""):
		return errors.New("namespaces: one is empty; leave the key out to allow all")
	}
	for _, s := range d.TokenSHA256 {
		sum, err := hex.DecodeString(s)
		if err != nil || len(sum) != sha256.Size {
			return errors.New("token_sha256: it is no SHA-256 in hexadecimal; `printf %s TOKEN | sha256sum` prints one")
		}
		d.sums = append(d.sums, [sha256.Size]byte(sum))
	}
	return nil
}

// byToken finds whose token it is. All hashes are compared, each in constant time.
func (i *Identities) byToken(token string) *Identity {
	given := sha256.Sum256([]byte(token))
	var found *Identity
	for _, d := range i.all {
		for _, sum := range d.sums {
			if subtle.ConstantTimeCompare(given[:], sum[:]) == 1 {
				found = d
			}
		}
	}
	return found
}

// byCertificate finds whose verified client certificate it is.
func (i *Identities) byCertificate(c *x509.Certificate) *Identity {
	for _, d := range i.all {
		if d.Certificate != "" && (slices.Contains(c.DNSNames, d.Certificate) || c.Subject.CommonName == d.Certificate) {
			return d
		}
	}
	return nil
}

// needCertificates says whether somebody is known by a certificate alone.
func (i *Identities) needCertificates() (name string, need bool) {
	for _, d := range i.all {
		if len(d.TokenSHA256) == 0 {
			return d.Name, true
		}
	}
	return "", false
}
