package contain

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"riposte/agent/order"
)

// Keys are the responder's public keys: one, and while it is changed the old one too.
type Keys []ed25519.PublicKey

// ReadKeys reads Ed25519 keys: PEM blocks "PUBLIC KEY", or one key's 32 bytes in base64.
func ReadKeys(file string) (Keys, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the responder's public key: %w", err)
	}
	var keys Keys
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		key, ok := parsed.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("%s holds a %T, orders are signed with Ed25519", file, parsed)
		}
		keys = append(keys, key)
	}
	if len(keys) > 0 {
		return keys, nil
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%s holds no Ed25519 public key: neither a PEM block nor 32 bytes in base64", file)
	}
	return Keys{key}, nil
}

func (k Keys) check() error {
	if len(k) == 0 {
		return errors.New("the responder's public key is missing: without it no order can be believed")
	}
	for _, key := range k {
		if len(key) != ed25519.PublicKeySize {
			return fmt.Errorf("a public key of the responder has %d bytes, not %d", len(key), ed25519.PublicKeySize)
		}
	}
	return nil
}

// opened is what a message says that one of the keys has signed.
func opened[T any](keys Keys, open func(ed25519.PublicKey) (T, error)) (v T, err error) {
	for _, key := range keys {
		if v, err = open(key); !errors.Is(err, order.ErrSignature) {
			break
		}
	}
	return v, err
}
