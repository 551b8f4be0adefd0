// Package access says who asks the API and what they may do: identities of tokens,
// of an OpenID Connect issuer and of a Kubernetes cluster, their roles and limits.
//
// Nobody may do anything unless a grant says so.
package access

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"riposte/responder/store"
)

// Role is what somebody may do. Each includes those before it.
type Role int

// Roles, from least to most.
const (
	// None is known by name and may do nothing.
	None Role = iota
	// Viewer reads.
	Viewer
	// Responder also handles incidents, cancels and lifts actions, and turns the kill switch on.
	Responder
	// Approver also answers for actions that wait for people.
	Approver
	// Admin also sets modes, turns the kill switch off, makes tokens and redrives dead letters.
	Admin
)

var roleNames = []string{"none", "viewer", "responder", "approver", "admin"}

// RoleNames are the roles that can be given, from least to most.
func RoleNames() []string { return slices.Clone(roleNames[Viewer:]) }

func (r Role) String() string {
	if r < None || r > Admin {
		return fmt.Sprintf("role %d", int(r))
	}
	return roleNames[r]
}

// ParseRole reads a role that can be given.
func ParseRole(s string) (Role, error) {
	if i := slices.Index(roleNames, s); i >= int(Viewer) {
		return Role(i), nil
	}
	return None, fmt.Errorf("role %.60q is none of %s", s, strings.Join(roleNames[Viewer:], ", "))
}

// Grant is a role within a part of what there is.
type Grant struct {
	Role Role
	store.Reach
}

// Bounds of a grant's lists.
const (
	maxNames = 100
	maxName  = 253
)

// Check says what is wrong with a grant.
func (g Grant) Check() error {
	if g.Role < Viewer || g.Role > Admin {
		return fmt.Errorf("%s cannot be given", g.Role)
	}
	for what, names := range map[string][]string{"clusters": g.Clusters, "namespaces": g.Namespaces} {
		if len(names) > maxNames {
			return fmt.Errorf("%s: at most %d can be named", what, maxNames)
		}
		for _, n := range names {
			if n == "" || len(n) > maxName || strings.ContainsFunc(n, unprintable) {
				return fmt.Errorf("%s: %.60q is no name", what, n)
			}
		}
	}
	return nil
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }

// Identity is somebody who was recognized.
type Identity struct {
	// Name stands in the record as user:NAME. Two people are two names.
	Name   string
	Grants []Grant
	// Expires is when it must be shown anew; zero means never.
	Expires time.Time
	// TokenID is the id of the stored token that was shown, or empty.
	TokenID string
}

// Scope is where somebody has at least a role; empty means nowhere.
func (i Identity) Scope(least Role) store.Scope {
	var in store.Scope
	for _, g := range i.Grants {
		if g.Role >= least && g.Role != None {
			in = append(in, g.Reach)
		}
	}
	return in
}

// Everywhere is a role without limits.
func Everywhere(r Role) []Grant { return []Grant{{Role: r}} }
