package publish

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzScan(f *testing.F) {
	put := record(recordPut, message{subject: "s", id: "i", body: []byte("{}")}.payload())
	f.Add(put)
	f.Add(append(put, record(recordDone, []byte{0, 0, 0, 0})...))
	f.Add(append(put, put[:5]...))
	f.Add([]byte("pxxxxxxxxxxxx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		puts := 0
		whole := scan(b, func(offset int64, payload []byte) {
			puts++
			require.Equal(t, recordPut, b[offset])
			_, _ = parseMessage(payload)
		}, func(int) {})
		require.LessOrEqual(t, whole, int64(len(b)))
		again := 0
		require.Equal(t, whole, scan(b[:whole], func(int64, []byte) { again++ }, func(int) {}), "what is whole stays whole")
		require.Equal(t, puts, again)
	})
}

func TestMessageRoundTrip(t *testing.T) {
	want := message{subject: "alerts.c.n.error", id: "n/b/1", body: []byte(`{"a":1}`)}
	got, err := parseMessage(want.payload())
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, bad := range []string{"", "\x00", "\x00\x05ab", "\x00\x01a\x00\x09b"} {
		_, err := parseMessage([]byte(bad))
		require.ErrorIs(t, err, errPayload)
	}
}
