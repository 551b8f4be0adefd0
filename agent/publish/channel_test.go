package publish_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/publish"
)

// run prints what is put before it and ends.
func run(t *testing.T, opt publish.ChannelOptions, alerts ...*alert.Alert) *publish.Channel {
	t.Helper()
	p := publish.NewChannel(opt)
	for _, a := range alerts {
		require.NoError(t, p.Put(a))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, p.Run(ctx))
	return p
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	a := makeAlert(1, alert.Critical)
	a.Output = "10:00:00.000000001: Critical A \"shell\"\n10:00:00.000000002: Error forged \x1b[2J \u202e"
	run(t, publish.ChannelOptions{Name: "stdout", Sink: publish.Writer(&b)}, a)
	require.Equal(t, `10:00:00.000000001: Critical A "shell"\n10:00:00.000000002: Error forged \u001b[2J \u202e`+"\n", b.String())
}

func TestJSON(t *testing.T) {
	for _, includeRiposte := range []bool{false, true} {
		var b bytes.Buffer
		run(t, publish.ChannelOptions{Name: "stdout", Sink: publish.Writer(&b), Encoding: publish.Encoding{Format: publish.JSON, Riposte: includeRiposte}}, makeAlert(1, alert.Critical), makeAlert(2, alert.Error))
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		require.Len(t, lines, 2)
		for _, line := range lines {
			var keys map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &keys))
			require.Equal(t, includeRiposte, keys["riposte"] != nil)
			require.Equal(t, includeRiposte, keys["uuid"] != nil)
			require.Contains(t, keys, "output_fields")
		}
	}
}

func TestASlowWriterLosesAlertsNotTime(t *testing.T) {
	r, w := io.Pipe()
	p := publish.NewChannel(publish.ChannelOptions{Name: "stdout", Sink: publish.Writer(w)})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	for i := range 3000 { // nobody reads
		require.NoError(t, p.Put(makeAlert(i, alert.Error)))
	}
	require.GreaterOrEqual(t, p.Lost()["output_stdout_queue_full"], uint64(3000-1024-1))
	cancel()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("a hanging writer holds up the end")
	}
	// The writer's owner ends what still hangs in it; goleak sees to that.
	require.NoError(t, r.CloseWithError(errors.New("closed")))
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestABrokenWriterIsCounted(t *testing.T) {
	p := run(t, publish.ChannelOptions{Name: "stdout", Sink: publish.Writer(brokenWriter{})}, makeAlert(1, alert.Error), makeAlert(2, alert.Error))
	require.Equal(t, uint64(2), p.Lost()["output_stdout_failed"])
}

func TestParseFormat(t *testing.T) {
	f, err := publish.ParseFormat("json")
	require.NoError(t, err)
	require.Equal(t, publish.JSON, f)
	_, err = publish.ParseFormat("xml")
	require.ErrorContains(t, err, `unknown output format "xml": use text or json`)
}

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"plain", "a\nb", "\x1b[31m", "\u202e", "\xff", "\U000e0001", `\n`, "ü\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := publish.Escape(s)
		require.True(t, utf8.ValidString(out))
		require.NotContains(t, out, "\n")
		require.NotContains(t, out, "\x1b")
		require.Equal(t, out, publish.Escape(out), "escaping twice changes nothing")
	})
}

// gate is a sink that delivers when it is let.
type gate struct {
	open   chan struct{}
	lines  []string
	closed chan struct{}
}

func (g *gate) Send(_ context.Context, m publish.Message) error {
	<-g.open
	g.lines = append(g.lines, string(m.Line))
	return nil
}
func (*gate) Reopen() error  { return nil }
func (g *gate) Close() error { close(g.closed); return nil }

// TestARetiredChannelDeliversAllThatIsQueued waits far longer than the end of the
// agent would.
func TestARetiredChannelDeliversAllThatIsQueued(t *testing.T) {
	g := &gate{open: make(chan struct{}), closed: make(chan struct{})}
	c := publish.NewChannel(publish.ChannelOptions{Name: "x", Sink: g, Timeout: time.Hour})
	for i := range 100 {
		if i == 50 {
			c.SetEncoding(publish.Encoding{Format: publish.JSON})
		}
		require.NoError(t, c.Put(makeAlert(i, alert.Error)))
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context()) }()
	c.Retire()
	c.Retire()
	select {
	case <-ended:
		t.Fatal("alerts are queued still")
	case <-g.closed:
		t.Fatal("alerts are queued still")
	default:
	}
	close(g.open)
	require.NoError(t, <-ended)
	<-g.closed
	require.Len(t, g.lines, 100)
	require.NotEqual(t, byte('{'), g.lines[49][0])
	require.Equal(t, byte('{'), g.lines[50][0], "an alert is written as it was asked for when it came")
	require.Empty(t, c.Lost())
	require.Equal(t, uint64(100), c.Sent())
}
