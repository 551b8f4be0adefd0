package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzCursor reads cursors that somebody made up: an error, or a position that has
// the same cursor's parts again.
func FuzzCursor(f *testing.F) {
	f.Add(nsCursor(1, "01950000-0000-7000-8000-a00000000001"))
	f.Add(cursorOf("1", "2", "c"))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		if ns, id, err := parseNSCursor(cursor); err == nil {
			again, same, err := parseNSCursor(nsCursor(ns, id))
			require.NoError(t, err)
			require.Equal(t, ns, again)
			require.Equal(t, id, same)
		} else {
			require.ErrorIs(t, err, ErrCursor)
		}
		var w where
		if err := w.beforeAudit(cursor); err != nil {
			require.ErrorIs(t, err, ErrCursor)
		}
		_, _ = parseCursor(cursor, 2)
	})
}

// FuzzSnapshot reads event ids that somebody made up.
func FuzzSnapshot(f *testing.F) {
	for _, s := range []string{"", "1:1:", "10:20:11,12", "1:2:3", "::", "18446744073709551615:1:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSnapshot(text); err == nil {
			require.Equal(t, text, string(s))
			require.LessOrEqual(t, len(text), maxSnapshot)
		}
	})
}

// FuzzID reads ids that somebody made up.
func FuzzID(f *testing.F) {
	f.Add("01950000-0000-7000-8000-a00000000001")
	f.Add("a00000000001")
	f.Add("' OR true")
	f.Fuzz(func(t *testing.T, id string) {
		condition, arg, err := idCondition("id", id)
		if err != nil {
			require.ErrorIs(t, err, ErrID)
			return
		}
		require.NotContains(t, condition, arg, "it is an argument, no part of the query")
	})
}
