package server

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxReason bounds the reason that a person gives, in bytes.
const maxReason = 1000

// readBody decodes a request's JSON object, in which only known keys may stand.
func readBody(r *http.Request, b []byte, into any) error {
	// A form, which another site's page could send, cannot have this type.
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return problemf("bad_content_type", "send Content-Type: application/json")
	}
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	if err == nil && !strings.HasPrefix(strings.TrimLeft(string(b), " \t\r\n"), "{") {
		err = errors.New("it is no object")
	}
	if err == nil && hasNUL(b) {
		err = errors.New("a text has a NUL, which nothing here can be called")
	}
	if err != nil {
		return problemf("bad_body", "the body is not the expected JSON: %v", err)
	}
	return nil
}

// hasNUL says whether a text in JSON has a NUL, which the database keeps in no text. It
// can only stand there escaped.
func hasNUL(b []byte) bool {
	for i := 0; i+5 < len(b); i++ {
		if b[i] == '\\' {
			if string(b[i+1:i+6]) == "u0000" {
				return true
			}
			i++ // what is escaped begins nothing
		}
	}
	return false
}

// readAll reads a body within its limit.
func readAll(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(r.Body)
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		return nil, problemf("body_too_large", "the body is over the limit of %d bytes", large.Limit)
	}
	if err != nil {
		return nil, problemf("bad_body", "the body cannot be read: %v", err)
	}
	return b, nil
}

// checkText refuses what a person may not write into the record.
func checkText(name, text string) error {
	if len(text) > maxReason || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return problemf("bad_body", "%s: at most %d bytes of text", name, maxReason)
	}
	return nil
}

// needReason is checkText for a reason that must be there, and returns it trimmed.
func needReason(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", problemf("bad_body", "reason: say why")
	}
	return text, checkText("reason", text)
}
