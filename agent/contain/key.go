package contain

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

// ReadKey reads the responder's public Ed25519 key: a PEM block "PUBLIC KEY", or
// the 32 bytes in base64.
func ReadKey(file string) (ed25519.PublicKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the responder's public key: %w", err)
	}
	if block, _ := pem.Decode(b); block != nil {
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if key, ok := parsed.(ed25519.PublicKey); ok {
			return key, nil
		}
		return nil, fmt.Errorf("%s holds a %T, orders are signed with Ed25519", file, parsed)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%s holds no Ed25519 public key: neither a PEM block nor 32 bytes in base64", file)
	}
	return key, nil
}
