package deletepod

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
)

func TestParams(t *testing.T) {
	for text, want := range map[string]int64{
		"": 1, " ": 1, "null": 1, "{}": 1, `{"grace_seconds": null}`: 1,
		`{"grace_seconds": 0}`: 0, `{"grace_seconds": 30}`: 30,
	} {
		p, err := grace(json.RawMessage(text))
		require.NoError(t, err, text)
		require.Equal(t, want, p, text)
	}
	for text, want := range map[string]string{
		`{"grace_seconds": -1}`:      "params.grace_seconds: -1 is not from 0 to 30",
		`{"grace_seconds": 31}`:      "params.grace_seconds: 31 is not from 0 to 30",
		`{"grace_seconds": 1.5}`:     "params.grace_seconds: is a",
		`{"grace_seconds": "1"}`:     "params.grace_seconds: is no number",
		`{"grace_seconds": 1e99}`:    "params.grace_seconds: is a",
		`{"grace_second": 1}`:        `unknown key "grace_second": delete_pod knows grace_seconds`,
		`{"grace_seconds": 1} {}`:    "params: is not an object",
		`[]`:                         "params: ",
		`{`:                          "params: ",
		`{"grace_seconds": 1}` + "}": "params: is not an object",
	} {
		_, err := grace(json.RawMessage(text))
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzParams(f *testing.F) {
	for _, seed := range []string{"", "null", "{}", `{"grace_seconds": 5}`, `{"grace_seconds": 31}`, `{"grace_seconds": 1e1}`, `{"a": 1}`, "[", "{}{}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := grace(raw)
		if err == nil && (p < 0 || p > maxGrace) {
			t.Fatalf("%q gave a grace of %d", raw, p)
		}
	})
}

func TestCheck(t *testing.T) {
	good := action.Target{Kind: "pod", Cluster: "c", Namespace: "shop", Name: "cart-6d5.x", UID: "0b9d4f0e-7a1c-4c3f-9a43-3c1d6f7a5b10"}
	a := New(nil)
	require.NoError(t, a.Check(good, json.RawMessage(a.Spec().Example)))
	for name, tt := range map[string]struct {
		edit func(*action.Target)
		want string
	}{
		"kind":             {func(t *action.Target) { t.Kind = "container" }, "target.kind: "},
		"no namespace":     {func(t *action.Target) { t.Namespace = "" }, "target.namespace: "},
		"namespace climbs": {func(t *action.Target) { t.Namespace = ".." }, "target.namespace: "},
		"no name":          {func(t *action.Target) { t.Name = "" }, "target.name: "},
		"name climbs":      {func(t *action.Target) { t.Name = "../secrets/x" }, "target.name: "},
		"name in capitals": {func(t *action.Target) { t.Name = "Cart" }, "target.name: "},
		"no uid":           {func(t *action.Target) { t.UID = "" }, "target.uid: "},
		"uid of two lines": {func(t *action.Target) { t.UID = "a\nb" }, "target.uid: "},
	} {
		t.Run(name, func(t *testing.T) {
			target := good
			tt.edit(&target)
			require.ErrorContains(t, a.Check(target, nil), tt.want)
		})
	}
	require.ErrorContains(t, a.Check(good, json.RawMessage(`{"force": true}`)), "params: ")
}
