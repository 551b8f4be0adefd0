package campaign

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// link is a proxy for connections, which can be made bad.
type link struct {
	listener net.Listener
	dial     func() (net.Conn, error)

	mu    sync.Mutex
	pairs []*pair
	// state is how the link is now: "" for good, else the fault's kind.
	state string
	// changed is closed when state changes.
	changed chan struct{}
	closed  bool
	running sync.WaitGroup
}

// pair is one connection: who came, and where it goes.
type pair struct{ client, server net.Conn }

// slowness is what each piece of data waits on a slow link.
const slowness = 150 * time.Millisecond

// newLink passes what comes at its address on to dial's.
func newLink(t *testing.T, dial func() (net.Conn, error)) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{listener: listener, dial: dial, changed: make(chan struct{})}
	l.running.Go(l.accept)
	t.Cleanup(func() {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		_ = listener.Close()
		l.become("")
		l.drop()
		l.running.Wait()
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

// fault makes the link bad for a time.
func (l *link) fault(kind string, during time.Duration) {
	if kind == "half" {
		l.halve()
		return
	}
	l.become(kind)
	if kind == "cut" {
		l.drop()
	}
	time.Sleep(during) // the fault's length is the plan's
	l.become("")
	if kind == "mute" {
		l.drop() // what was swallowed must not be missed in the middle
	}
}

func (l *link) become(state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = state
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *link) now() (state string, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, l.changed
}

// drop ends all connections without a farewell.
func (l *link) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.pairs {
		if c, ok := p.client.(*net.TCPConn); ok {
			_ = c.SetLinger(0) // a reset, not an end
		}
		_ = p.client.Close()
		_ = p.server.Close()
	}
}

// halve ends one direction of every connection: towards the server of one, towards
// the client of the next.
func (l *link) halve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, p := range l.pairs {
		side := []net.Conn{p.server, p.client}[i%2]
		if half, ok := side.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}
}

func (l *link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.serve(client) })
	}
}

func (l *link) serve(client net.Conn) {
	defer client.Close()
	if state, _ := l.now(); state == "cut" {
		return
	}
	server, err := l.dial()
	if err != nil {
		return
	}
	defer server.Close()
	p := &pair{client, server}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.pairs = append(l.pairs, p)
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.pass(server, client) })
	both.Go(func() { l.pass(client, server) })
	both.Wait()
	l.mu.Lock()
	l.pairs = slices.DeleteFunc(l.pairs, func(o *pair) bool { return o == p })
	l.mu.Unlock()
}

// pass copies one direction until it ends. The end is passed on.
func (l *link) pass(to, from net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		state, changed := l.now()
		switch state {
		case "mute": // nothing comes through, and the connection is not usable after it
			<-changed
			_ = to.Close()
			return
		case "slow":
			select {
			case <-time.After(slowness):
			case <-changed:
			}
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if err != nil {
			if half, ok := to.(interface{ CloseWrite() error }); ok && err == io.EOF { //nolint:errorlint // Read says exactly this
				_ = half.CloseWrite()
				return
			}
			_ = to.Close()
			return
		}
	}
}
