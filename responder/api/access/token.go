package access

import (
	"crypto/rand"
	"crypto/sha256"
	"strings"
)

// tokenPrefix lets people and secret scanners tell what was found.
const tokenPrefix = "riposte_"

// NewToken makes a token of 130 random bits and the hash that is kept of it.
func NewToken() (token string, hash []byte) {
	token = tokenPrefix + rand.Text()
	return token, Hash(token)
}

// IsToken says that a text has the form of NewToken's.
func IsToken(s string) bool { return strings.HasPrefix(s, tokenPrefix) }

// Hash is what is kept of a token. What is random enough needs no slow hash.
func Hash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
