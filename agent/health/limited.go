package health

import (
	"net"
	"sync"
)

// limited takes so many connections at a time; the others wait in the kernel.
type limited struct {
	net.Listener
	free   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &held{Conn: c, free: func() { <-l.free }}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// held gives its place back when it closes.
type held struct {
	net.Conn
	once sync.Once
	free func()
}

func (h *held) Close() error {
	h.once.Do(h.free)
	return h.Conn.Close()
}
