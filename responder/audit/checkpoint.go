package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// checkpointTag keeps a signature of a checkpoint from passing for one of anything else.
const checkpointTag = "riposte/checkpoint/1\n"

// PointKind says what a checkpoint is for.
type PointKind string

// Kinds of checkpoints.
const (
	// PointCheckpoint says that a chain had this entry, with this hash, at this time.
	PointCheckpoint PointKind = "checkpoint"
	// PointAnchor says that what was up to this entry was taken out by retention.
	PointAnchor PointKind = "anchor"
)

// Hex is bytes that JSON shows as hexadecimal.
type Hex []byte

// MarshalText writes lower-case digits.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText reads digits.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

// Point is one checkpoint: what somebody with the key signed about a chain. Its JSON
// is what the stream AUDIT, the file and the export hold.
type Point struct {
	Cluster string    `json:"cluster"`
	Seq     int64     `json:"seq"`
	Kind    PointKind `json:"kind"`
	// AtNS is when it was signed, Unix nanoseconds.
	AtNS int64 `json:"at_ns"`
	// Hash is that of the entry Seq.
	Hash Hex `json:"hash"`
	// Prev is the Digest of the checkpoint before, 32 zero bytes for a cluster's first
	// and for an anchor.
	Prev Hex `json:"prev"`
	// Key is the public half of the key that signed. NextKey, if there is one, signs
	// from here on, and Key no longer.
	Key       Hex `json:"key"`
	NextKey   Hex `json:"next_key,omitempty"`
	Signature Hex `json:"signature"`
}

// message is what is signed.
func (p *Point) message() []byte {
	b := append(make([]byte, 0, 256), checkpointTag...)
	kind := byte(0)
	if p.Kind == PointAnchor {
		kind = 1
	}
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.Cluster)))
	b = append(b, p.Cluster...)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Seq))
	b = append(b, p.Hash...)
	b = binary.BigEndian.AppendUint64(b, uint64(p.AtNS))
	b = append(b, p.Prev...)
	b = append(b, p.Key...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.NextKey)))
	return append(b, p.NextKey...)
}

// Digest is the SHA-256 of what is signed: the next checkpoint's Prev.
func (p *Point) Digest() Hash { return sha256.Sum256(p.message()) }

// sign fills in Key and Signature.
func (p *Point) sign(key ed25519.PrivateKey) {
	p.Key = Hex(key.Public().(ed25519.PublicKey))
	p.Signature = ed25519.Sign(key, p.message())
}

// check says what is wrong with a checkpoint by itself. Whether its key is to be
// trusted is another question.
func (p *Point) check() error {
	switch {
	case p.Kind != PointCheckpoint && p.Kind != PointAnchor:
		return fmt.Errorf("its kind is %.20q", string(p.Kind))
	case p.Seq < 1 || len(p.Hash) != sha256.Size || len(p.Prev) != sha256.Size || len(p.Key) != ed25519.PublicKeySize:
		return errors.New("it lacks a number, a hash or a key")
	case len(p.NextKey) != 0 && len(p.NextKey) != ed25519.PublicKeySize:
		return errors.New("the key that it names is none")
	case !ed25519.Verify(ed25519.PublicKey(p.Key), p.message(), p.Signature):
		return errors.New("its signature is not its key's")
	}
	return nil
}
