package host

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// server answers DNS questions on this host.
type server struct {
	conn net.PacketConn

	mu      sync.Mutex
	answers map[string]string
	asked   map[string]int
}

func newServer(t *testing.T) *server {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{conn: conn, answers: map[string]string{}, asked: map[string]int{}}
	ended := make(chan struct{})
	go func() { s.serve(); close(ended) }()
	t.Cleanup(func() { conn.Close(); <-ended })
	return s
}

func (s *server) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

func (s *server) serve() {
	b := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(b)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(b[:n]) != nil || len(m.Questions) == 0 {
			continue
		}
		q := m.Questions[0]
		m.Response, m.Additionals = true, nil
		s.mu.Lock()
		address := s.answers[q.Name.String()]
		s.asked[q.Name.String()]++
		s.mu.Unlock()
		switch {
		case address == "":
			m.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()},
			}}
		}
		if packed, err := m.Pack(); err == nil {
			_, _ = s.conn.WriteTo(packed, from)
		}
	}
}

func (s *server) set(name, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[name] = address
}

func (s *server) times(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[name]
}

func TestNamesOfAnAddress(t *testing.T) {
	s := newServer(t)
	s.set("one.test.", "192.0.2.1")
	s.set("two.test.", "192.0.2.1")
	l := New(Options{Resolver: s.resolver()})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	address := netip.MustParseAddr("192.0.2.1")
	require.Empty(t, l.Names(address))

	l.Watch([]string{"two.test.", "one.test.", "no such thing", "*.test", "", "nobody.test."})
	require.Eventually(t, func() bool { return len(l.Names(address)) == 2 }, 20*time.Second, time.Millisecond)
	require.Equal(t, []string{"one.test.", "two.test."}, l.Names(address))
	require.Equal(t, []string{"one.test.", "two.test."}, l.Names(netip.MustParseAddr("::ffff:192.0.2.1")))
	require.Empty(t, l.Names(netip.MustParseAddr("192.0.2.2")))
	require.Eventually(t, func() bool { return l.Counts()["host_unresolved"] == 1 }, 20*time.Second, time.Millisecond)
	require.Positive(t, s.times("nobody.test."))

	l.Watch([]string{"one.test."})
	require.Equal(t, []string{"one.test."}, l.Names(address), "what is known stays, what nobody asks for goes")
}

func TestAddressesThatChange(t *testing.T) {
	s := newServer(t)
	s.set("one.test.", "192.0.2.1")
	l := New(Options{Resolver: s.resolver()})
	l.Watch([]string{"one.test."})
	again := func() *name {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.names["one.test."].due = time.Now()
		return l.names["one.test."]
	}
	_, ok := l.resolveDue(t.Context())
	require.True(t, ok)
	require.Len(t, l.Names(netip.MustParseAddr("192.0.2.1")), 1)

	for _, want := range []time.Duration{20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 320 * time.Second} {
		n := again()
		l.resolveDue(t.Context())
		require.Equal(t, want, n.delay, "what does not change is asked for less often")
	}
	s.set("one.test.", "")
	again()
	l.resolveDue(t.Context())
	require.Len(t, l.Names(netip.MustParseAddr("192.0.2.1")), 1, "a failure takes nothing away")
	s.set("one.test.", "192.0.2.9")
	n := again()
	l.resolveDue(t.Context())
	require.Equal(t, firstDelay, n.delay)
	require.Empty(t, l.Names(netip.MustParseAddr("192.0.2.1")))
	require.Len(t, l.Names(netip.MustParseAddr("192.0.2.9")), 1)

	l.asked.Add(-int64(idle/time.Second) - 10)
	asked := s.times("one.test.")
	_, ok = l.resolveDue(t.Context())
	require.False(t, ok, "nobody has asked for an hour")
	require.Equal(t, asked, s.times("one.test."))
	require.Empty(t, l.Names(netip.MustParseAddr("192.0.2.9")))
	select {
	case <-l.wake:
	default:
		t.Error("the question wakes nobody")
	}
	l.resolveDue(t.Context())
	require.Len(t, l.Names(netip.MustParseAddr("192.0.2.9")), 1)
}
