package audit

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// What the own reader takes for a string is what encoding/json takes it for, and what
// the own writer writes both read.
func FuzzStrings(f *testing.F) {
	for _, s := range []string{"", "a", `\"`, `\\`, `\u0041`, `\ud83d\ude00`, `\ud83d`, `\ud83dx`, `\ud83d\u0041`, `\n\t\/`, `\x`, `\u12`, "é\u2028", "\x00", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := `"` + s + `"`
		c := cursor{json: quoted}
		var got, want string
		if err := c.text(&got); err == nil && c.at == len(quoted) && utf8.ValidString(s) {
			require.NoError(t, json.Unmarshal([]byte(quoted), &want))
			require.Equal(t, want, got)
		}
		written := appendString(nil, s)
		require.NoError(t, json.Unmarshal(written, &want))
		require.Equal(t, want, strings.ToValidUTF8(replaceEach(s), "\uFFFD"))
		c = cursor{json: string(written)}
		require.NoError(t, c.text(&got))
		require.Equal(t, want, got)
	})
}

// replaceEach replaces each bad byte by itself, as encoding/json does.
func replaceEach(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteRune(r)
	}
	return b.String()
}
