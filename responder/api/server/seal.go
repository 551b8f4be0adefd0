package server

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
)

// sealer closes what a browser keeps for us, so that it can neither read nor change it.
// Every replica has the same key: it is made of the responder's own token.
type sealer struct{ aead cipher.AEAD }

var errSeal = errors.New("the seal is broken")

func newSealer(token string) sealer {
	key := hmac.New(sha256.New, []byte(token))
	key.Write([]byte("riposte/seal/1\n"))
	block, err := aes.NewCipher(key.Sum(nil))
	if err != nil {
		panic(err) // a SHA-256 has the length of a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has the block size that GCM needs
	}
	return sealer{aead}
}

// seal closes a value, which opens for the same purpose alone.
func (s sealer) seal(purpose string, v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, b, []byte(purpose))), nil
}

// open reads into v what seal closed; errSeal is all that it says else.
func (s sealer) open(purpose, text string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errSeal
	}
	if b, err = s.aead.Open(nil, nil, b, []byte(purpose)); err != nil {
		return errSeal
	}
	if json.Unmarshal(b, v) != nil {
		return errSeal
	}
	return nil
}
