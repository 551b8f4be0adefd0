package order

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
)

// Signed is a message as it travels: the exact bytes and the responder's Ed25519
// signature over a domain tag and them.
type Signed struct {
	// Order holds whatever is signed: an Order, a Standing or a Switch.
	Order     json.RawMessage `json:"order"`
	Signature []byte          `json:"signature"`
}

// The domains keep a signature over one thing from passing for one over another.
const (
	domainOrder    = "riposte/order/1\n"
	domainStanding = "riposte/standing/1\n"
	domainSwitch   = "riposte/switch/1\n"
)

func seal(domain string, key ed25519.PrivateKey, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(Signed{Order: body, Signature: ed25519.Sign(key, append([]byte(domain), body...))})
}

// unseal returns what was signed in that domain.
func unseal[T any](domain string, key ed25519.PublicKey, message []byte) (v T, err error) {
	var s Signed
	if err := json.Unmarshal(message, &s); err != nil {
		return v, fmt.Errorf("decode the envelope: %w", err)
	}
	if !ed25519.Verify(key, append([]byte(domain), s.Order...), s.Signature) {
		return v, ErrSignature
	}
	if err := json.Unmarshal(s.Order, &v); err != nil {
		return v, fmt.Errorf("decode what is signed: %w", err)
	}
	return v, nil
}
