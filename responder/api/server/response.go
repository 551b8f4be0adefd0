package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"riposte/responder/api"
)

// response is a whole answer.
type response struct {
	status int
	kind   string
	body   []byte
}

func (a response) write(w http.ResponseWriter) {
	if a.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="riposte"`)
	}
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Type", a.kind)
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that left is no error of ours
}

// answer is for those who write more than a body.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, v any) {
	a, err := responseOf(v, nil)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	a.write(w)
}

// etag names exactly these bytes.
func (a response) etag() string {
	sum := sha256.Sum256(a.body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// encode leaves <, > and & as they are: the record's bodies are shown as they
// were hashed, and the answers are never read as HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// responseOf encodes an answer; nil is none.
func responseOf(v any, fields []string) (response, error) {
	if v == nil {
		return response{status: http.StatusNoContent}, nil
	}
	b, err := encode(v)
	if err == nil && fields != nil {
		b, err = choose(b, isPage(reflect.TypeOf(v)), fields)
	}
	return response{http.StatusOK, "application/json", b}, err
}

// choose leaves the named fields of an object, or of each of a page's.
func choose(b []byte, page bool, fields []string) ([]byte, error) {
	one := func(raw json.RawMessage) (json.RawMessage, error) {
		var all map[string]json.RawMessage
		if err := json.Unmarshal(raw, &all); err != nil {
			return nil, err
		}
		var out bytes.Buffer
		for _, name := range fields {
			if v, ok := all[name]; ok {
				out.WriteString(map[bool]string{true: "{", false: ","}[out.Len() == 0] + strconv.Quote(name) + ":")
				out.Write(v)
			}
		}
		if out.Len() == 0 {
			out.WriteByte('{')
		}
		out.WriteByte('}')
		return out.Bytes(), nil
	}
	if !page {
		chosen, err := one(b)
		return append(chosen, '\n'), err
	}
	var p api.Page[json.RawMessage]
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	for i, raw := range p.Items {
		var err error
		if p.Items[i], err = one(raw); err != nil {
			return nil, err
		}
	}
	return encode(p)
}

// isPage says that a type is an api.Page.
func isPage(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Page[")
}

// resourceOf is what an answer is made of: a page's items, or itself.
func resourceOf(t reflect.Type) reflect.Type {
	if isPage(t) {
		return t.Field(0).Type.Elem()
	}
	return t
}

// fieldsOf are the names of a resource's fields, in their order.
func fieldsOf(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			names = append(names, fieldsOf(f.Type)...)
		case name != "" && name != "-":
			names = append(names, name)
		}
	}
	return names
}

// matches says whether a header such as If-None-Match names an entity tag. A weak
// one is as good: ours are made of the bytes.
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == tag || one == "*" {
			return true
		}
	}
	return false
}

// rawJSON shows stored text as the JSON that it should be, and as a string if
// somebody changed it into something else.
func rawJSON(text string) json.RawMessage {
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	b, _ := json.Marshal(text)
	return b
}

// maybeJSON leaves out what is not there.
func maybeJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return rawJSON(text)
}
