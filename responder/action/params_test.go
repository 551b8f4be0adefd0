package action_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
)

var spec = action.Spec{Type: "sway", Params: []action.Param{
	{Name: "text", Type: "text"},
	{Name: "number", Type: "number", Required: true, Desc: "how much"},
	{Name: "bool", Type: "bool"},
	{Name: "list", Type: "list"},
	{Name: "map", Type: "map"},
	{Name: "for", Type: "duration"},
}}

type decoded struct {
	Text   string            `json:"text"`
	Number int               `json:"number"`
	Bool   bool              `json:"bool"`
	List   []string          `json:"list"`
	Map    map[string]string `json:"map"`
	For    string            `json:"for"`
}

func TestDecode(t *testing.T) {
	got := decoded{Text: "default"}
	require.NoError(t, spec.Decode(json.RawMessage(`{"number": 3, "bool": true, "list": ["a"], "map": {"k": "v"}, "for": "90s", "text": null}`), &got))
	require.Equal(t, decoded{"default", 3, true, []string{"a"}, map[string]string{"k": "v"}, "90s"}, got)
	for params, want := range map[string]string{
		``:                              "params.number: is missing: how much",
		`{"number": null}`:              "params.number: is missing",
		`[]`:                            "params: is not an object",
		`{`:                             "params: is not an object",
		`{"number": 1} {}`:              "params: is not an object",
		`{"Number": 1}`:                 `params: unknown key "Number": sway knows text, number, bool, list, map, for`,
		`{"number": "1"}`:               "params.number: is no number",
		`{"number": 1.5}`:               "params.number: is a number 1.5",
		`{"number": 1, "text": 1}`:      "params.text: is no text",
		`{"number": 1, "bool": "yes"}`:  "params.bool: is no bool",
		`{"number": 1, "list": {}}`:     "params.list: is no list",
		`{"number": 1, "list": [1]}`:    "params.list",
		`{"number": 1, "map": []}`:      "params.map: is no map",
		`{"number": 1, "for": "soon"}`:  `params.for: "soon" is no duration`,
		`{"number": 1, "map": {"a":1}}`: "params.map",
	} {
		require.ErrorContains(t, spec.Decode(json.RawMessage(params), &decoded{}), want, params)
	}
	none := action.Spec{Type: "still"}
	require.NoError(t, none.Decode(nil, &decoded{}))
	require.EqualError(t, none.Decode(json.RawMessage(`{"a": 1}`), &decoded{}), `params: unknown key "a": still has none`)
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "null", "{}", `{"number": 1}`, `{"map": {"a": {}}}`, "[", `{"for": "1h"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(_ *testing.T, raw []byte) { _ = spec.Decode(raw, &decoded{}) })
}
