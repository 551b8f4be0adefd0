package alert_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
)

func TestTraceParent(t *testing.T) {
	const id = "0199f1a2-7d3c-7b4e-8f55-0c1d2e3f4a5b"
	a := &alert.Alert{UUID: id, Time: time.Unix(1, 2), Rule: "r", Riposte: &alert.Riposte{}}
	body, err := json.Marshal(a)
	require.NoError(t, err)
	got := alert.TraceParent(body)
	require.Regexp(t, `^00-0199f1a27d3c7b4e8f550c1d2e3f4a5b-[0-9a-f]{16}-01$`, got)

	// What an event says of itself does not reach the header.
	a.Output, a.Rule = `"uuid":"00000000-0000-4000-8000-000000000001"}`, `"uuid":"00000000-0000-4000-8000-000000000001"}`
	body, err = json.Marshal(a)
	require.NoError(t, err)
	require.Equal(t, got, alert.TraceParent(body))

	for _, none := range []string{
		"", "{}", `"}`, `{"uuid":"00000000-0000-0000-0000-000000000000"}`, `{"uuid":"0199f1a2-7d3c-7b4e-8f55-0c1d2e3f4a5"}`,
		`{"uuid":"0199f1a2-7d3c-7b4e-8f55-0c1d2e3f4a5x"}`, `{"xuid":"0199f1a2-7d3c-7b4e-8f55-0c1d2e3f4a5b"}`, `{"uuid":"----------------------------------------"}`,
	} {
		require.Empty(t, alert.TraceParent([]byte(none)), none)
	}
}

func TestASpanIsOnesOwn(t *testing.T) {
	again := alert.SpanID("action", "a")
	require.Equal(t, alert.SpanID("action", "a"), again)
	require.NotEqual(t, alert.SpanID("action", "a"), alert.SpanID("action", "b"))
	require.NotEqual(t, alert.SpanID("action", "a"), alert.SpanID("alert", "a"))
}
