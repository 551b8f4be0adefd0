package bundle

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	opa "github.com/open-policy-agent/opa/v1/bundle"
)

// keyID is our own name for the one key: it counts whatever the signature calls it.
const keyID = "riposte"

// minRSA is the least length of an RSA key, in bits.
const minRSA = 2048

// maxKey bounds a key's or token's file.
const maxKey = 64 << 10

// Trust says whose bundles are taken. The zero value takes none.
type Trust struct {
	key       string
	algorithm string
	unsigned  bool
}

// Unsigned takes every bundle, whoever made it.
func Unsigned() Trust { return Trust{unsigned: true} }

// SignedBy takes bundles that were signed with the private key to the public one in a
// PEM file: RSA of 2048 bits or more (RS256), or ECDSA on P-256, P-384 or P-521 (ES256,
// ES384, ES512).
func SignedBy(file string) (Trust, error) {
	b, err := readBounded(file, maxKey)
	if err != nil {
		return Trust{}, fmt.Errorf("the bundle's key: %w", err)
	}
	t, err := parseKey(b)
	if err != nil {
		return Trust{}, fmt.Errorf("the bundle's key %s: %w", file, err)
	}
	return t, nil
}

func parseKey(b []byte) (Trust, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != "PUBLIC KEY" {
		return Trust{}, errors.New("it is no PEM public key; `openssl pkey -pubout` makes one of a private key")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Trust{}, err
	}
	t := Trust{key: string(pem.EncodeToMemory(block))}
	switch k := key.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSA {
			return Trust{}, fmt.Errorf("an RSA key of %d bits is too short: %d are the least", k.N.BitLen(), minRSA)
		}
		t.algorithm = "RS256"
	case *ecdsa.PublicKey:
		t.algorithm = map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[k.Curve.Params().BitSize]
	}
	if t.algorithm == "" {
		return Trust{}, fmt.Errorf("a %T cannot verify bundles: use RSA, or ECDSA on P-256, P-384 or P-521", key)
	}
	return t, nil
}

func (t Trust) config() *opa.VerificationConfig {
	keys := map[string]*opa.KeyConfig{}
	if t.key != "" {
		keys[keyID] = &opa.KeyConfig{Key: t.key, Algorithm: t.algorithm}
	}
	return opa.NewVerificationConfig(keys, keyID, "", nil)
}

func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", file, limit)
	}
	return b, err
}
