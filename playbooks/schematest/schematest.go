// Package schematest compares our JSON schemas with the Go types that they
// describe.
package schematest

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/playbooks"
)

// Same fails t unless the schema of that name and the type have the same keys, of
// the same types, and every key is described.
func Same(t testing.TB, name string, typ reflect.Type) {
	t.Helper()
	b, err := playbooks.Schema(name)
	require.NoError(t, err)
	var s map[string]any
	require.NoError(t, json.Unmarshal(b, &s))
	same(t, name, s, typ)
}

// falco is the alert's own keys: its JSON is written by hand.
type falco struct {
	UUID         string         `json:"uuid,omitempty"`
	Time         time.Time      `json:"time"`
	Rule         string         `json:"rule"`
	Priority     string         `json:"priority"`
	Source       string         `json:"source"`
	Hostname     string         `json:"hostname"`
	Output       string         `json:"output"`
	Tags         []string       `json:"tags"`
	OutputFields map[string]any `json:"output_fields"`
	Riposte      *alert.Riposte `json:"riposte,omitempty"`
}

func same(t testing.TB, path string, s map[string]any, typ reflect.Type) {
	if strings.Contains(path, ".") && !strings.HasSuffix(path, "[]") {
		require.NotEmpty(t, s["description"], "%s has no description", path)
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ == reflect.TypeFor[alert.Alert]() {
		typ = reflect.TypeFor[falco]()
	}
	switch {
	case typ == reflect.TypeFor[time.Time]() || typ.Kind() == reflect.String:
		require.Equal(t, "string", s["type"], path)
	case typ.Kind() == reflect.Bool:
		require.Equal(t, "boolean", s["type"], path)
	case typ.Kind() >= reflect.Int && typ.Kind() <= reflect.Uint64:
		require.Equal(t, "integer", s["type"], path)
	case typ.Kind() == reflect.Map:
		require.Equal(t, "object", s["type"], path)
	case typ.Kind() == reflect.Slice:
		require.Equal(t, "array", s["type"], path)
		same(t, path+"[]", s["items"].(map[string]any), typ.Elem())
	case typ.Kind() == reflect.Struct:
		require.Equal(t, "object", s["type"], path)
		props := s["properties"].(map[string]any)
		var want []string
		for f := range typ.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			want = append(want, name)
			sub, ok := props[name].(map[string]any)
			require.True(t, ok, "%s.%s is not in the schema", path, name)
			same(t, path+"."+name, sub, f.Type)
		}
		for name := range props {
			require.True(t, slices.Contains(want, name), "%s.%s is in the schema only", path, name)
		}
	default:
		require.Fail(t, "no rule for "+path+" of type "+typ.String())
	}
}
