package alert

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// HeaderTrace is the message header that carries an alert's W3C trace context.
const HeaderTrace = "traceparent"

// TraceID is the trace of all that an alert leads to: the bytes of its UUID, so that
// whoever has the alert has the trace, and nothing has to be kept. The last seven
// bytes of a UUIDv7 are random, as W3C asks. It is false for what is no UUID.
func TraceID(uuid string) (id [16]byte, ok bool) {
	text := strings.ReplaceAll(uuid, "-", "")
	if len(uuid) != 36 || len(text) != 32 {
		return id, false
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil {
		return id, false
	}
	return id, id != [16]byte{}
}

// SpanID is the span of one thing within a trace, made of what it is ("alert",
// "action") and of its id. Two replicas that report about one thing mean the same.
func SpanID(kind, id string) (span [8]byte) {
	sum := sha256.Sum256([]byte(kind + "\x00" + id))
	copy(span[:], sum[:])
	span[7] |= 1 // zero means no span
	return span
}

// TraceParent is the value of HeaderTrace for an alert's JSON, empty for what is not
// an alert of ours. It looks at the end alone: MarshalJSON writes the UUID last.
func TraceParent(body []byte) string {
	const before, after, length = `"uuid":"`, `"}`, 36
	rest, ok := bytes.CutSuffix(body, []byte(after))
	if !ok || len(rest) < length+len(before) {
		return ""
	}
	rest, uuid := rest[:len(rest)-length], string(rest[len(rest)-length:])
	trace, ok := TraceID(uuid)
	if !ok || !bytes.HasSuffix(rest, []byte(before)) {
		return ""
	}
	span := SpanID("alert", uuid)
	return "00-" + hex.EncodeToString(trace[:]) + "-" + hex.EncodeToString(span[:]) + "-01"
}
