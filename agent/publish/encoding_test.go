package publish

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
)

func shell() *alert.Alert {
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600))
	return &alert.Alert{
		UUID: "u", Time: at, Rule: "Shell", Priority: alert.Warning, Source: "syscall", Hostname: "h", Tags: []string{"a", "b"},
		Output:       "03:04:05.000000600: Warning A shell: Warning <x> (pid=7)",
		OutputFields: map[string]any{"evt.time": at.UnixNano(), "proc.pid": int64(7), "proc.name": nil, "user.ok": true},
		Riposte:      &alert.Riposte{Schema: 1, Cluster: "c", Node: "n", BootID: "b", Seq: 1},
	}
}

func TestEncodings(t *testing.T) {
	const fields = `"output_fields":{"evt.time":1767319445000000600,"proc.name":null,"proc.pid":7,"user.ok":true}`
	for name, c := range map[string]struct {
		e    Encoding
		want string
	}{
		"text":     {Encoding{Format: Text}, "03:04:05.000000600: Warning A shell: Warning <x> (pid=7)"},
		"ISO text": {Encoding{Format: Text, TimeISO: true}, "2026-01-02T02:04:05.000000600+0000: Warning A shell: Warning <x> (pid=7)"},
		"Falco's": {Encoding{Format: JSON}, `{"hostname":"h","output":"03:04:05.000000600: Warning A shell: Warning <x> (pid=7)",` + fields +
			`,"priority":"Warning","rule":"Shell","source":"syscall","tags":["a","b"],"time":"2026-01-02T02:04:05.000000600Z"}`},
		"message": {Encoding{Format: JSON, Message: true, OmitOutput: true, OmitTags: true}, `{"hostname":"h","message":"A shell: Warning <x> (pid=7)",` + fields +
			`,"priority":"Warning","rule":"Shell","source":"syscall","time":"2026-01-02T02:04:05.000000600Z"}`},
		"least": {
			Encoding{Format: JSON, OmitFields: true, OmitOutput: true, OmitTags: true, TimeISO: true},
			`{"hostname":"h","priority":"Warning","rule":"Shell","source":"syscall","time":"2026-01-02T02:04:05.000000600Z"}`,
		},
	} {
		got, err := c.e.encode(shell())
		require.NoError(t, err)
		require.Equal(t, c.want, string(got), name)
	}

	whole, err := Encoding{Format: JSON, Riposte: true, TimeISO: true}.encode(shell())
	require.NoError(t, err)
	var keys map[string]any
	require.NoError(t, json.Unmarshal(whole, &keys))
	require.Equal(t, "u", keys["uuid"])
	require.Contains(t, keys, "riposte")
	require.True(t, strings.HasPrefix(keys["output"].(string), "2026-01-02T02:04:05.000000600+0000: Warning A shell"))
	require.Contains(t, keys["output_fields"], "evt.time.iso8601")
	require.NotContains(t, keys["output_fields"], "evt.time")
}

func TestTheDefaultJSONIsTheContracts(t *testing.T) {
	for _, a := range []*alert.Alert{shell(), {Time: time.Unix(0, 0), Rule: "r"}} {
		want, err := a.FalcoJSON()
		require.NoError(t, err)
		got, err := Encoding{Format: JSON}.encode(a)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))

		want, err = a.MarshalJSON()
		require.NoError(t, err)
		got, err = Encoding{Format: JSON, Riposte: true}.encode(a)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
}

func TestEncodingDoesNotChangeTheAlert(t *testing.T) {
	a := shell()
	_, err := Encoding{Format: JSON, TimeISO: true}.encode(a)
	require.NoError(t, err)
	require.Equal(t, shell(), a)
}

func BenchmarkEncodeJSON(b *testing.B) {
	a := shell()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Encoding{Format: JSON}).encode(a); err != nil {
			b.Fatal(err)
		}
	}
}
