package api

import "time"

// Reason is the body of a request that changes something.
type Reason struct {
	// Reason stands in the record.
	Reason string `json:"reason"`
}

// Comment is the body of an answer to a waiting action.
type Comment struct {
	Comment string `json:"comment,omitempty"`
}

// KillSwitchChange is what a kill switch is to be.
type KillSwitchChange struct {
	On *bool `json:"on"`
	// Scope is all, cluster or playbook, Name whose; a missing scope means all.
	Scope  string `json:"scope,omitempty"`
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Login is what the console trades for a session.
type Login struct {
	Token string `json:"token"`
}

// Identity is who asks, and what they may do.
type Identity struct {
	// Name stands in the record as user:NAME.
	Name   string  `json:"name"`
	Grants []Grant `json:"grants"`
	// ExpiresAt is when the token ends; missing if it does not.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// Grant is a role within clusters and namespaces; an empty list stands for all.
type Grant struct {
	// Role is viewer, responder, approver or admin.
	Role       string   `json:"role"`
	Clusters   []string `json:"clusters,omitempty"`
	Namespaces []string `json:"namespaces,omitempty"`
}

// NewToken asks for a token.
type NewToken struct {
	// Name is whose it is: lower-case letters, digits and . _ @ -, at most 64.
	Name string `json:"name"`
	// Role is viewer, responder, approver or admin.
	Role string `json:"role"`
	// Clusters and Namespaces limit it; empty: everything.
	Clusters   []string `json:"clusters,omitempty"`
	Namespaces []string `json:"namespaces,omitempty"`
	// ExpiresAt is at most a year from now.
	ExpiresAt time.Time `json:"expires_at"`
	Reason    string    `json:"reason,omitempty"`
}

// Token is a token of the API, without the token itself.
type Token struct {
	ID string `json:"id"`
	// Name is whose it is: the record says user:NAME.
	Name string `json:"name"`
	Grant
	Reason    string    `json:"reason,omitempty"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	// RevokedAt is when RevokedBy ended it before its time.
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	RevokedBy string     `json:"revoked_by,omitempty"`
	// UsedAt is when it was used last, to within some minutes.
	UsedAt *time.Time `json:"used_at,omitempty"`
}

// CreatedToken is the one answer that has the token.
type CreatedToken struct {
	Token
	// Secret is the token. It is not kept and cannot be shown again.
	Secret string `json:"secret"`
}
