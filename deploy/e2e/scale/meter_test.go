package scale

import (
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

// meter stands between one client and the API server and counts what passes, as bytes
// of TLS.
type meter struct {
	// kubeconfig leads the client through the meter.
	kubeconfig string
	// down is what the client received, up what it sent.
	down, up atomic.Int64
}

func newMeter(t *testing.T, kubeconfig string) *meter {
	t.Helper()
	file, err := clientcmd.LoadFromFile(kubeconfig)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &meter{kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	var server string
	for _, c := range file.Clusters {
		u, err := url.Parse(c.Server)
		require.NoError(t, err)
		server, c.Server = u.Host, "https://"+listener.Addr().String()
	}
	require.NoError(t, clientcmd.WriteToFile(*file, m.kubeconfig))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { m.serve(client, server) })
		}
	})
	// Cleanups run last in first out: the clients have ended by then.
	t.Cleanup(func() { _ = listener.Close(); running.Wait() })
	return m
}

func (m *meter) serve(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(counted{client, &m.down}, server); _ = client.Close() })
	both.Go(func() { _, _ = io.Copy(counted{server, &m.up}, client); _ = server.Close() })
	both.Wait()
}

type counted struct {
	net.Conn
	n *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// ReadFrom keeps io.Copy from moving the data past Write.
func (c counted) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

// usage is what a process and its children have used.
type usage struct {
	cpu time.Duration
	// rss and peak are bytes, of the process alone.
	rss, peak int64
}

// clockTick is the unit of processor times in /proc: a hundredth of a second on Linux.
const clockTick = 10 * time.Millisecond

// used reads what a process has used, with its children: PostgreSQL has one for each
// connection.
func used(t *testing.T, pid int) (u usage) {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[2] != "kB" {
			continue
		}
		kb, err := strconv.ParseInt(f[1], 10, 64)
		require.NoError(t, err)
		switch f[0] {
		case "VmRSS:":
			u.rss = kb << 10
		case "VmHWM:":
			u.peak = kb << 10
		}
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		own := filepath.Base(filepath.Dir(file)) == strconv.Itoa(pid)
		if len(f) < 15 || !own && f[1] != strconv.Itoa(pid) {
			continue
		}
		fields := f[11:13] // utime and stime
		if own {
			fields = f[11:15] // and those of children that have ended
		}
		for _, text := range fields {
			ticks, err := strconv.ParseInt(text, 10, 64)
			require.NoError(t, err)
			u.cpu += time.Duration(ticks) * clockTick
		}
	}
	return u
}

// forgetPeak has the peak begin anew.
func forgetPeak(t *testing.T, pid int) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join("/proc", strconv.Itoa(pid), "clear_refs"), []byte("5"), 0))
}
