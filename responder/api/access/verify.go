package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
	"time"

	"riposte/responder/store"
)

// Errors of Verify.
var (
	// ErrUnknown: the token is nobody's, or its time is over.
	ErrUnknown = errors.New("the token is nobody's, or not any more")
	// ErrUnavailable: who could know the token does not answer.
	ErrUnavailable = errors.New("the token cannot be checked now")
)

// Principal is somebody whose token stands in a file.
type Principal struct {
	Name, Token string
	// Grants is what they may do.
	Grants []Grant
}

// Options is who can be recognized.
type Options struct {
	// Principals are known without asking anybody, so that they can turn the kill switch
	// while the database is away. The first is the responder's own token.
	Principals []Principal
	// Tokens finds a stored token by its SHA-256, store.ErrNotFound if there is none.
	Tokens func(ctx context.Context, hash []byte) (store.TokenRow, error)
	// Config says who of an issuer or cluster may do what.
	Config Config
	// Review asks the cluster whose a token is; nil without a cluster.
	Review Review
	// Now is the time; the default is time.Now.
	Now func() time.Time
}

// Verifier recognizes tokens. It is safe for concurrent use.
type Verifier struct {
	principals []hashed
	tokens     func(ctx context.Context, hash []byte) (store.TokenRow, error)
	config     Config
	oidc       *issuer
	cluster    *reviewer
	now        func() time.Time
}

type hashed struct {
	Principal
	sum [sha256.Size]byte
}

// NewVerifier connects to nobody yet.
func NewVerifier(o Options) *Verifier {
	v := &Verifier{tokens: o.Tokens, config: o.Config, now: o.Now}
	if v.now == nil {
		v.now = time.Now
	}
	for _, p := range o.Principals {
		v.principals = append(v.principals, hashed{p, sha256.Sum256([]byte(p.Token))})
	}
	if o.Config.OIDC != nil {
		v.oidc = newIssuer(*o.Config.OIDC, v.now)
	}
	if o.Config.Kubernetes != nil && o.Review != nil {
		v.cluster = newReviewer(*o.Config.Kubernetes, o.Review, v.now)
	}
	return v
}

// Static finds whose a token of a file is. It compares hashes: of one length, in
// constant time, and with everybody's.
func (v *Verifier) Static(token string) (*Principal, bool) {
	sum := sha256.Sum256([]byte(token))
	var who *Principal
	for i := range v.principals {
		if subtle.ConstantTimeCompare(sum[:], v.principals[i].sum[:]) == 1 {
			who = &v.principals[i].Principal
		}
	}
	return who, who != nil
}

// maxToken bounds a token; headers are bounded too.
const maxToken = 16 << 10

// Verify says whose a token is: ErrUnknown or ErrUnavailable if nobody's.
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if p, ok := v.Static(token); ok {
		return Identity{Name: p.Name, Grants: p.Grants}, nil
	}
	switch {
	case token == "" || len(token) > maxToken:
		return Identity{}, ErrUnknown
	case IsToken(token):
		return v.stored(ctx, token)
	case strings.Count(token, ".") == 2 && v.oidc != nil && v.oidc.made(token):
		return v.external(v.oidc.verify(ctx, token))
	case strings.Count(token, ".") == 2 && v.cluster != nil:
		return v.external(v.cluster.verify(ctx, token))
	}
	return Identity{}, ErrUnknown
}

func (v *Verifier) stored(ctx context.Context, token string) (Identity, error) {
	row, err := v.tokens(ctx, Hash(token))
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, ErrUnknown
	}
	if err != nil {
		return Identity{}, errors.Join(ErrUnavailable, err)
	}
	return OfToken(row)
}

// OfToken is the identity of a stored token that holds.
func OfToken(row store.TokenRow) (Identity, error) {
	role, err := ParseRole(row.Role)
	if err != nil {
		return Identity{}, errors.Join(ErrUnknown, err)
	}
	return Identity{
		Name: row.Name, Grants: []Grant{{Role: role, Reach: store.Reach{Clusters: row.Clusters, Namespaces: row.Namespaces}}},
		Expires: row.ExpiresAt, TokenID: row.ID,
	}, nil
}

// subject is somebody whom an issuer or a cluster vouches for.
type subject struct {
	// kind is oidc or k8s.
	kind    string
	user    string
	groups  []string
	expires time.Time
}

func (v *Verifier) external(s subject, err error) (Identity, error) {
	if err != nil {
		return Identity{}, err
	}
	name := s.kind + ":" + s.user
	if s.user == "" || len(name) > maxName || strings.ContainsFunc(name, unprintable) {
		return Identity{}, ErrUnknown // it would stand in the record
	}
	return Identity{Name: name, Grants: v.config.grants(s), Expires: s.expires}, nil
}
