package kube

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"sync"
	"time"
)

const (
	// nodeTokenGood is how long an API server's word for a token counts. For so long a
	// deleted pod's token still works.
	nodeTokenGood = 30 * time.Second
	// maxNodeTokens bounds what is remembered: more than a cluster has nodes. Only tokens
	// that the API server vouched for are.
	maxNodeTokens = 16384
)

// NodeTokens remembers for a short time on which nodes the pods of tokens run: after a
// restart of the bus all agents come at once, and those that wait too long come again.
type NodeTokens struct {
	client            *Client
	audience, account string
	now               func() time.Time

	mu    sync.Mutex
	known map[[sha256.Size]byte]nodeToken
}

type nodeToken struct {
	node  string
	until time.Time
}

// NodeTokens is for tokens of an account, as namespace/name. Now is the time, time.Now if
// nil.
func (c *Client) NodeTokens(audience, account string, now func() time.Time) *NodeTokens {
	if now == nil {
		now = time.Now
	}
	return &NodeTokens{client: c, audience: audience, account: account, now: now, known: map[[sha256.Size]byte]nodeToken{}}
}

// Node is NodeOfToken, asked again after 30 s, or after the token's end if that is
// sooner. What the API server did not vouch for is asked each time.
func (n *NodeTokens) Node(ctx context.Context, token string) (node, why string, err error) {
	sum := sha256.Sum256([]byte(token))
	n.mu.Lock()
	known, ok := n.known[sum]
	n.mu.Unlock()
	if ok && n.now().Before(known.until) {
		return known.node, "", nil
	}
	asked := n.now()
	node, why, err = n.client.NodeOfToken(ctx, token, n.audience, n.account)
	if node != "" && err == nil {
		n.remember(sum, nodeToken{node, earlier(asked.Add(nodeTokenGood), endOf(token))})
	}
	return node, why, err
}

func (n *NodeTokens) remember(sum [sha256.Size]byte, t nodeToken) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) >= maxNodeTokens {
		now := n.now()
		maps.DeleteFunc(n.known, func(_ [sha256.Size]byte, t nodeToken) bool { return !now.Before(t.until) })
	}
	if len(n.known) < maxNodeTokens {
		n.known[sum] = t
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// endOf reads the end of a token whose signature the API server has verified. It is long
// ago if there is none, so that nothing is remembered.
func endOf(token string) time.Time {
	var claims struct {
		End int64 `json:"exp"`
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(b, &claims) != nil {
		return time.Time{}
	}
	return time.Unix(claims.End, 0)
}
