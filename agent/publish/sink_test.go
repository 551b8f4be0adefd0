package publish_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/publish"
)

// channel runs a Channel until the returned function is called.
func channel(t *testing.T, opt publish.ChannelOptions) (*publish.Channel, func()) {
	t.Helper()
	c := publish.NewChannel(opt)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				require.NoError(t, err)
			case <-time.After(20 * time.Second):
				t.Error("the output does not end")
			}
		})
	}
	t.Cleanup(stop)
	return c, stop
}

func put(t *testing.T, c *publish.Channel, texts ...string) {
	t.Helper()
	for _, text := range texts {
		a := makeAlert(1, alert.Critical)
		a.Output = text
		require.NoError(t, c.Put(a))
	}
}

func lines(t *testing.T, name string) func() []string {
	return func() []string {
		content, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			return nil
		}
		require.NoError(t, err)
		return strings.FieldsFunc(string(content), func(r rune) bool { return r == '\n' })
	}
}

func eventually(t *testing.T, want []string, got func() []string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { require.Equal(c, want, got()) }, 10*time.Second, 2*time.Millisecond)
}

func TestAFileIsRotated(t *testing.T) {
	for _, keepAlive := range []bool{true, false} {
		name := filepath.Join(t.TempDir(), "alerts")
		s, err := publish.OpenFile(publish.FileOptions{Name: name, KeepAlive: keepAlive})
		require.NoError(t, err)
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), "command lines are for nobody else")
		c, stop := channel(t, publish.ChannelOptions{Name: "file", Sink: s})
		put(t, c, "one", "two\nforged")
		eventually(t, []string{"one", `two\nforged`}, lines(t, name))

		require.NoError(t, os.Rename(name, name+".1"))
		if keepAlive {
			put(t, c, "three")
			eventually(t, []string{"one", `two\nforged`, "three"}, lines(t, name+".1"))
			c.Reopen()
			require.Eventually(t, func() bool { _, err := os.Stat(name); return err == nil }, 10*time.Second, time.Millisecond)
		}
		put(t, c, "four")
		eventually(t, []string{"four"}, lines(t, name))
		stop()
		require.Empty(t, c.Lost())
	}
	_, err := publish.OpenFile(publish.FileOptions{Name: filepath.Join(t.TempDir(), "none", "alerts")})
	require.ErrorContains(t, err, "open the file of alerts")
}

func TestAFullDiskIsCounted(t *testing.T) {
	s, err := publish.OpenFile(publish.FileOptions{Name: "/dev/full", KeepAlive: true})
	if err != nil {
		t.Skip("no /dev/full: ", err)
	}
	c, stop := channel(t, publish.ChannelOptions{Name: "file", Sink: s})
	put(t, c, "one", "two")
	stop()
	require.Equal(t, uint64(2), c.Lost()["output_file_failed"])
}

func TestTheQueueIsBoundedInBytesToo(t *testing.T) {
	c := publish.NewChannel(publish.ChannelOptions{Name: "x", Bytes: 1000, Lines: 100})
	for range 5 {
		put(t, c, strings.Repeat("a", 300))
	}
	require.Equal(t, uint64(2), c.Lost()["output_x_queue_full"])
	require.Equal(t, uint64(2), c.Dropped())
}

// daemon is a syslog daemon's socket.
func daemon(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	return conn
}

func receive(t *testing.T, conn net.Conn) string {
	t.Helper()
	b := make([]byte, 1<<20)
	n, err := conn.Read(b)
	require.NoError(t, err)
	return string(b[:n])
}

func TestSyslog(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	conn := daemon(t, name)
	c, stop := channel(t, publish.ChannelOptions{Name: "syslog", Sink: publish.OpenSyslog(publish.SyslogOptions{Socket: name})})
	for p := alert.Emergency; p <= alert.Debug; p++ {
		a := makeAlert(1, p)
		a.Output, a.Time = "text", time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
		require.NoError(t, c.Put(a))
		require.Equal(t, fmt.Sprintf("<%d>Jan  2 03:04:05 riposte[%d]: text", 8+int(p), os.Getpid()), receive(t, conn))
	}

	// The daemon is restarted.
	require.NoError(t, conn.Close())
	require.NoError(t, os.RemoveAll(name))
	conn = daemon(t, name)
	put(t, c, "after")
	require.Contains(t, receive(t, conn), ": after")
	require.Empty(t, c.Lost())

	// Longer than a datagram can be: it is cut, not lost.
	put(t, c, strings.Repeat("ü", 1<<20))
	got := receive(t, conn)
	require.LessOrEqual(t, len(got), 8<<10+3)
	require.True(t, strings.HasSuffix(got, "ü…"))
	require.Equal(t, map[string]uint64{"output_syslog_cut": 1}, c.Lost())

	// And it goes away.
	require.NoError(t, conn.Close())
	put(t, c, "lost")
	stop()
	require.Equal(t, uint64(1), c.Lost()["output_syslog_failed"])
}

func TestSyslogRFC5424OverAStream(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	l, err := net.Listen("unix", name)
	require.NoError(t, err)
	defer l.Close()
	c, stop := channel(t, publish.ChannelOptions{
		Name: "syslog", Sink: publish.OpenSyslog(publish.SyslogOptions{Socket: name, Format: publish.RFC5424, Hostname: "my host\n"}),
	})
	a := makeAlert(1, alert.Error)
	a.Time = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	require.NoError(t, c.Put(a))
	conn, err := l.Accept()
	require.NoError(t, err)
	defer conn.Close()
	require.Equal(t, fmt.Sprintf("<11>1 2026-01-02T03:04:05.000006Z myhost riposte %d - - out\n", os.Getpid()), receive(t, conn))
	stop()
}

func TestAProgram(t *testing.T) {
	for _, keepAlive := range []bool{true, false} {
		out := filepath.Join(t.TempDir(), "out")
		c, stop := channel(t, publish.ChannelOptions{Name: "program", Timeout: 10 * time.Second, Sink: publish.OpenProgram(publish.ProgramOptions{
			Command: "echo start >>" + out + "; while read -r line; do echo \"$line\" >>" + out + "; done", KeepAlive: keepAlive,
		})})
		hostile := "$(touch " + out + ".pwned) `id` '; exit 1"
		put(t, c, "one", hostile)
		want := []string{"start", "one", hostile}
		if !keepAlive {
			want = []string{"start", "one", "start", hostile}
		}
		eventually(t, want, lines(t, out))
		if keepAlive {
			c.Reopen()
			put(t, c, "two")
			eventually(t, append(want, "start", "two"), lines(t, out))
		}
		stop()
		require.Empty(t, c.Lost())
		require.NoFileExists(t, out+".pwned")
	}
}

func TestAProgramThatFailsOrHangs(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		command   string
		keepAlive bool
	}{
		"fails":           {"exit 3", false},
		"none":            {"/does/not/exist", false},
		"hangs":           {"echo $$ >" + dir + "/pid; sleep 1000", false},
		"reads nothing":   {"sleep 1000", true},
		"closes its end":  {"exec <&-; sleep 1000", true},
		"ends each time":  {"exit 0", true},
		"child in a pipe": {"sleep 1000 | sleep 1000", false},
	} {
		t.Run(name, func(t *testing.T) {
			ch, stop := channel(t, publish.ChannelOptions{Name: "program", Timeout: 300 * time.Millisecond, Sink: publish.OpenProgram(publish.ProgramOptions{
				Command: c.command, KeepAlive: c.keepAlive, Timeout: 300 * time.Millisecond, Stderr: &strings.Builder{},
			})})
			put(t, ch, strings.Repeat("x", 200<<10)) // more than a pipe holds
			require.Eventually(t, func() bool { return ch.Lost()["output_program_failed"] == 1 }, 10*time.Second, time.Millisecond)
			stop()
		})
	}
}
