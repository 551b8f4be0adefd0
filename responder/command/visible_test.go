package command

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":          "plain text",
		"übergröße 漢字 🦀":      "übergröße 漢字 🦀",
		"\x1b[2J\r\n\t\x00":   `\x1b[2J\x0d\x0a\x09\x00`,
		"\u202egnp.exe":       `\u202egnp.exe`,
		"a\u2066b\u2069":      `a\u2066b\u2069`,
		"zero\u200bwidth":     `zero\u200bwidth`,
		"c1 \u009b":           `c1 \u009b`,
		"broken \xff\xfe":     `broken \xff\xfe`,
		"tag \U000e0041":      `tag \U000e0041`,
		"line\u2028separator": `line\u2028separator`,
		"no\u00a0break":       `no\u00a0break`,
		"filler \u3164":       `filler \u3164`,
		"honest \ufffd":       "honest \ufffd",
	} {
		require.Equal(t, want, visible(in), "%q", in)
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"":                     {},
		"90m":                  now.Add(-90 * time.Minute),
		"7d":                   now.AddDate(0, 0, -7),
		"2026-03-01T00:00:00Z": time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	} {
		got, err := since(in, now)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, bad := range []string{"-1h", "-1d", "soon", "d", "1e9d", "2026-03-01"} {
		_, err := since(bad, now)
		require.ErrorContains(t, err, "--since", bad)
	}
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Second: "in the future", 59 * time.Second: "59s ago", 61 * time.Minute: "1h ago", 47 * time.Hour: "47h ago", 50 * time.Hour: "2d ago",
	} {
		require.Equal(t, want, ago(now.Add(-d), now))
	}
}

// Whatever an attacker writes: no hidden character gets out, and JSON and YAML
// still say exactly what came in.
func FuzzOutput(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x1b]0;x\a", "\u202e", "a: b\n- c", "true", "0x1f", "\U000e0041", "\u2028", "'\"\\", "\u0085", "\ufeff", "~", "1e3", " lead", "\u00a0", "\U0001f980"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range visible(s) {
			require.False(t, hidden(r), "%q", r)
		}
		if !utf8.ValidString(s) {
			return
		}
		for _, form := range []string{"json", "yaml"} {
			var out strings.Builder
			p := printer{form: form, out: &out}
			require.NoError(t, p.value(map[string]string{"text": s}))
			for _, r := range out.String() {
				require.False(t, r != '\n' && hidden(r), "%q in %s", r, form)
			}
			var got map[string]string
			if form == "json" {
				require.NoError(t, json.Unmarshal([]byte(out.String()), &got))
			} else {
				require.NoError(t, yaml.Unmarshal([]byte(out.String()), &got), out.String())
			}
			require.Equal(t, s, got["text"], "%s: %s", form, out.String())
		}
	})
}
