package server_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/api/server"
	"riposte/responder/store/storetest"
)

// hostile are values that somebody might send to see what happens.
var hostile = []string{
	"", " ", "\x00", "\xff\xfe", "\u202egnp.exe", "\x1b[2J", "'", `"`, "' OR true --", "$1", "%s%n", "%", "../../etc/passwd", "<script>", "null", "true", "[]", "{}",
	"0", "-1", "1", "500", "501", "1e309", "NaN", "9223372036854775808", "99999999999999999999999999", "2026-03-01T12:00:00Z", "9999-12-31T23:59:60Z", "-1000000-01-01T00:00:00Z",
	strings.Repeat("x", 1024), strings.Repeat("é", 1025), strings.Repeat("[", 5000), "critical", "Critical", "planned", "waiting", "open", "viewer", "admin", "cluster", "playbook",
	"id,rule", "id,,", "*", `W/"x"`, `"x"`, "1:1:", "18446744073709551615:1:", "10:20:11,12,13", "00000000-0000-0000-0000-000000000000", "000000000000", "ffffffffffff",
	base64.RawURLEncoding.EncodeToString([]byte("1\x00" + "01950000-0000-7000-8000-a00000000001")), base64.RawURLEncoding.EncodeToString([]byte("-9223372036854775808\x00\x00")),
	base64.RawURLEncoding.EncodeToString([]byte("1\x002\x00\xff")), base64.RawURLEncoding.EncodeToString([]byte("\x00\x00")), base64.RawURLEncoding.EncodeToString([]byte("a\x00\xff\xfe")),
	apitest.AlertID(1), apitest.ActionID(1), apitest.IncidentID(1), apitest.DecisionID(1), apitest.DeadLetterID(1), apitest.Playbook, "test", "node-0",
}

// FuzzAPI sends to each operation of the API's document requests that are made from
// the document, with values that are not. Whatever is sent: no answer is a server's
// error, and each is as the document says (apitest sees to that).
func FuzzAPI(f *testing.F) {
	e := apitest.Start(f, storetest.New(f))
	server.Unlimited(e.Server)
	for i := range 3 {
		e.Add(f, i)
	}
	e.Wait(f, 3, "requires-approval")
	e.AddDeadLetter(f, 1)
	doc := apitest.Document(f)
	paths := slices.Sorted(maps.Keys(doc.Paths.Map()))
	for seed := range uint64(12) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		g := generator{rand.New(rand.NewPCG(seed, 1)), doc}
		for _, path := range paths {
			for method, op := range doc.Paths.Find(path).Operations() {
				req := g.request(t, e.URL, method, path, op)
				res, err := http.DefaultTransport.RoundTrip(req)
				require.NoError(t, err)
				require.Less(t, res.StatusCode, 500, "%s %s", method, req.URL)
				require.NoError(t, res.Body.Close())
			}
		}
	})
}

type generator struct {
	*rand.Rand
	doc *openapi3.T
}

func (g generator) value() string { return hostile[g.IntN(len(hostile))] }

func (g generator) request(t *testing.T, base, method, path string, op *openapi3.Operation) *http.Request {
	t.Helper()
	query := url.Values{}
	header := http.Header{"Authorization": {"Bearer " + apitest.Token}}
	for _, p := range op.Parameters {
		switch v := g.value(); p.Value.In {
		case "path":
			if v == "" || v == "." || v == ".." {
				v = "x"
			}
			path = strings.Replace(path, "{"+p.Value.Name+"}", url.PathEscape(v), 1)
		case "query":
			if g.IntN(3) == 0 {
				query.Set(p.Value.Name, v)
			}
		case "header":
			if g.IntN(2) == 0 && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				header.Set(p.Value.Name, v)
			}
		}
	}
	var body string
	if op.RequestBody != nil {
		body = g.body(op.RequestBody.Value.Content.Get("application/json").Schema)
		header.Set("Content-Type", "application/json")
		if g.IntN(20) == 0 {
			header.Set("Content-Type", g.header())
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	require.NoError(t, err)
	req.URL.RawQuery = query.Encode()
	if g.IntN(20) == 0 {
		req.URL.RawQuery += "&" + url.PathEscape(g.value())
	}
	req.Header = header
	return req
}

func (g generator) header() string {
	return []string{"text/plain", "application/json; charset=utf-16", "application/x-www-form-urlencoded", ";", "multipart/form-data; boundary=x"}[g.IntN(5)]
}

// body is mostly what the schema asks for, with hostile values.
func (g generator) body(s *openapi3.SchemaRef) string {
	if g.IntN(8) == 0 {
		return g.value()
	}
	var out strings.Builder
	out.WriteByte('{')
	names := slices.Sorted(maps.Keys(s.Value.Properties))
	first := true
	for _, name := range names {
		if g.IntN(4) == 0 {
			continue
		}
		if !first {
			out.WriteByte(',')
		}
		first = false
		out.WriteString(`"` + name + `":` + g.json(s.Value.Properties[name].Value))
	}
	out.WriteByte('}')
	return out.String()
}

func (g generator) json(s *openapi3.Schema) string {
	quoted := func() string {
		b, _ := json.Marshal(g.value())
		return string(b)
	}
	switch {
	case g.IntN(10) == 0:
		return []string{"null", "[]", "{}", "1", `"x"`, "true", "1e400", "[[]]"}[g.IntN(8)]
	case s.Type.Is("boolean"):
		return []string{"true", "false"}[g.IntN(2)]
	case s.Type.Is("array"):
		return "[" + quoted() + "," + quoted() + "]"
	case s.Type.Is("object"):
		return "{" + quoted() + ":" + quoted() + "}"
	case s.Format == "date-time" && g.IntN(3) > 0:
		return []string{`"2026-12-01T00:00:00Z"`, `"9999-12-31T23:59:59.999999999Z"`, `"0000-01-01T00:00:00+23:59"`}[g.IntN(3)]
	}
	return quoted()
}
