package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// Sealed are the fields whose values stand beside the body, which has their salted
// digests alone: a value can be erased, and the chain still verifies.
var Sealed = []string{"note", "params", "reason"}

// sealTag keeps a seal from passing for a hash of anything else.
const sealTag = "riposte/sealed/1\n"

// saltSize is long enough that nobody guesses an erased value from its digest.
const saltSize = 16

// Seal is a sealed value as it is stored: nil and empty once it is erased.
type Seal struct {
	Salt  []byte
	Value string
}

// Digest computes what the body says of a sealed value of a field.
func Digest(field string, s Seal) Hash {
	frame := make([]byte, 0, 1<<10)
	frame = append(frame, sealTag...)
	for _, part := range [...]string{field, string(s.Salt), s.Value} {
		frame = binary.BigEndian.AppendUint32(frame, uint32(len(part)))
		frame = append(frame, part...)
	}
	return sha256.Sum256(frame)
}

// sealOf is a field's place among an entry's seals.
func sealOf(field string) int { return slices.Index(Sealed, field) }
