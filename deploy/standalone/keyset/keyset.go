// Package keyset makes the keys that an installation on a cluster needs: private ones
// for the responders, and their public halves for agents and NATS. It adds what is
// missing and changes nothing that is there.
package keyset

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"

	"github.com/nats-io/nkeys"

	"riposte/deploy/standalone/natsd"
)

// The private files, as `riposte responder` takes them: nkey seeds of its user and of
// the account that lets agents in, Ed25519 keys in PKCS #8 (PEM), the API's token.
const (
	ResponderSeed = "responder.nk"
	AccountSeed   = "auth.nk"
	OrderKey      = "order.key"
	CheckpointKey = "checkpoint.key"
	Token         = "token"
	// OldOrderKey is the order's key before this one, while there are agents that know no
	// other: its public half stays beside the new one's.
	OldOrderKey = "order.old"
)

// The public files. OrderPublic holds two keys while one takes the other's place.
const (
	OrderPublic      = "order.pub"
	CheckpointPublic = "checkpoint.pub"
	NATSAuth         = "nats-auth.conf"
)

// Fill makes the private files that set has not got.
func Fill(set map[string][]byte) error {
	for name, produce := range map[string]func() ([]byte, error){
		ResponderSeed: seed(nkeys.CreateUser), AccountSeed: seed(nkeys.CreateAccount),
		OrderKey: privateKey, CheckpointKey: privateKey, Token: token,
	} {
		if len(set[name]) > 0 {
			continue
		}
		b, err := produce()
		if err != nil {
			return fmt.Errorf("make %s: %w", name, err)
		}
		set[name] = b
	}
	return nil
}

// Public makes the public files of the private ones in set.
func Public(set map[string][]byte) (map[string]string, error) {
	order, err1 := publicKey(set, OrderKey)
	checkpoint, err2 := publicKey(set, CheckpointKey)
	responder, err3 := publicNkey(set, ResponderSeed)
	account, err4 := publicNkey(set, AccountSeed)
	var err5 error
	if len(set[OldOrderKey]) > 0 {
		var old string
		old, err5 = publicKey(set, OldOrderKey)
		order += old
	}
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	return map[string]string{OrderPublic: order, CheckpointPublic: checkpoint, NATSAuth: string(natsd.CalloutConfig(responder, account))}, nil
}

// Database makes the passwords and connection strings of the PostgreSQL at host that
// set has not got, for the roles riposte_owner and riposte_app of the database riposte.
func Database(set map[string][]byte, host string) error {
	for _, name := range []string{"postgres-password", "owner-password", "app-password"} {
		if len(set[name]) == 0 {
			b, err := token()
			if err != nil {
				return err
			}
			set[name] = b
		}
	}
	for _, role := range []string{"owner", "app"} {
		u := url.URL{
			Scheme: "postgres", User: url.UserPassword("riposte_"+role, string(set[role+"-password"])), Host: host, Path: "/riposte",
			RawQuery: "sslmode=disable", // the bundled server has no certificate
		}
		set[role+".url"] = []byte(u.String())
	}
	return nil
}

func seed(create func() (nkeys.KeyPair, error)) func() ([]byte, error) {
	return func() ([]byte, error) {
		pair, err := create()
		if err != nil {
			return nil, err
		}
		return pair.Seed()
	}
}

func privateKey() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func token() ([]byte, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	return hex.AppendEncode(nil, b), nil
}

func publicKey(set map[string][]byte, name string) (string, error) {
	block, _ := pem.Decode(set[name])
	if block == nil {
		return "", fmt.Errorf("%s is no PEM", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return "", fmt.Errorf("%s is no Ed25519 key", name)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

func publicNkey(set map[string][]byte, name string) (string, error) {
	pair, err := nkeys.FromSeed(set[name])
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return pair.PublicKey()
}
