package sandbox

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"
)

func readAll(t testing.TB, pairs ...string) ([]*File, error) {
	t.Helper()
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return Read(Source{Name: "src", FS: m})
}

func openSchema(t testing.TB) Schema {
	s, err := NewSchema([]byte(`{"type": "object", "properties": {"name": {"type": "string"}}}`))
	require.NoError(t, err)
	return s
}

func TestDataIsRead(t *testing.T) {
	all, err := readAll(t,
		"data.json", `{"owners": {"shop": ["ann", "bob"]}}`,
		"limits/per/data.json", `7`,
		"owners/bank/data.json", `["cy"]`,
		"a.rego", "package p.q.a\n\nx contains o if some o in data.owners[input.name]\n\nx contains data.limits.per\n",
	)
	require.NoError(t, err)
	c, err := Compile(all, openSchema(t))
	require.NoError(t, err)
	q, err := c.Query(context.Background(), "data.p.q.a.x")
	require.NoError(t, err)
	for name, want := range map[string]string{"shop": `{"ann", "bob", 7}`, "bank": `{"cy", 7}`, "gone": `{7}`} {
		v, err := q.Eval(context.Background(), ast.NewObject([2]*ast.Term{ast.StringTerm("name"), ast.StringTerm(name)}), time.Unix(0, 0), time.Minute)
		require.NoError(t, err)
		require.Zero(t, ast.MustParseTerm(want).Value.Compare(v), "%s: %s", name, v)
	}
	packages, data := c.reach("p.q.a")
	require.Equal(t, map[string]bool{"p.q.a": true}, packages)
	require.Len(t, data, 2)
	require.Equal(t, json.Number("7"), data["data.limits.per"])
	require.Len(t, data["data.owners"], 2)
}

func TestDataErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		files []string
		want  string
	}{
		"no JSON":         {[]string{"data.json", "{\n  \"a\": x\n}"}, "src/data.json:2:8: is no JSON: invalid character 'x'"},
		"half":            {[]string{"data.json", "{\n  \"a\": 1"}, "src/data.json:2:9: ends in the middle of a value"},
		"empty":           {[]string{"data.json", ""}, "src/data.json:1:1: ends in the middle of a value"},
		"two values":      {[]string{"data.json", "{}\n{}"}, "src/data.json:2:"},
		"no object":       {[]string{"data.json", "[1]"}, "src/data.json:1:1: must be an object"},
		"too deep":        {[]string{"a/data.json", strings.Repeat("[", 20000)}, "src/a/data.json:1:"},
		"too long":        {[]string{"data.json", `{"a": "` + strings.Repeat("x", MaxDataBytes) + `"}`}, "src/data.json: is 4194313 bytes long: 4194304 are allowed"},
		"the same twice":  {[]string{"data.json", `{"a": {"b": {"c": 1}}}`, "a/b/data.json", `{"c": 2}`}, "src/data.json:1:1: data.a.b.c is there already, from src/a/b/data.json"},
		"a list in a way": {[]string{"data.json", `{"a": [1]}`, "a/b/data.json", "2"}, "src/data.json:1:1: data.a is there already, from src/a/b/data.json"},
		"misspelt":        {[]string{"data.json", `{"owners": {}}`, "a.rego", "package p.q.a\n\nx := data.owner[\"a\"]\n"}, "src/a.rego:3:6: data.owner.a is defined nowhere"},
		"all data":        {[]string{"data.json", `{"owners": {}}`, "a.rego", "package p.q.a\n\nx := data[input.name]\n"}, "src/a.rego:3:1: rule data.p.q.a.x may be recursive"},
		"beyond a number": {[]string{"data.json", `{"a": 1}`, "a.rego", "package p.q.a\n\nx := data.a.b\n"}, "src/a.rego:3:6: data.a.b is defined nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := readAll(t, tt.files...)
			if err == nil {
				_, err = Compile(all, openSchema(t))
			}
			require.ErrorContains(t, err, tt.want)
		})
	}
}

// A file's own document stays as it was read, whatever is merged with it.
func TestMergingChangesNoFile(t *testing.T) {
	all, err := readAll(t, "a/data.json", `{"x": {"one": 1}}`, "a/x/y/data.json", `2`, "a/z/data.json", `3`)
	require.NoError(t, err)
	for range 2 {
		got, err := documents(all)
		require.NoError(t, err)
		require.Len(t, got["a"], 2)
		require.Len(t, got["a"].(map[string]any)["x"], 2)
	}
	require.Len(t, all[0].Data.Value.(map[string]any)["x"], 1)
}

func FuzzData(f *testing.F) {
	for _, s := range []string{`{"a": 1}`, `{"a": {"b": [1, "x"]}, "c": null}`, `{"\u0061": 1, "a": 2}`, `[`, `{"a": 1} 2`, `{"": {"": 1}}`, "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := &File{Path: "data.json", Text: []byte(text)}
		if err := file.parseData("data.json"); err != nil {
			require.ErrorContains(t, err, "data.json:")
			return
		}
		for _, root := range file.Roots() {
			e := file.RootError(root, "x")
			require.Positive(t, e.Line)
			require.Positive(t, e.Column)
		}
		_, err := documents([]*File{file})
		require.NoError(t, err)
	})
}
