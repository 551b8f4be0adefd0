// Package bus is this node's NATS connection: alerts out with acknowledgement,
// orders in, heartbeat. It reconnects for ever and buffers nothing itself, for
// the spool in front of it does.
package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"riposte/agent/alert"
)

// Options say which bus, and as whom.
type Options struct {
	// URL is the server's address, nats://host:port; several are separated by commas.
	URL string
	// SeedFile holds this node's nkey seed, or TokenFile a token that says who we are. The
	// token is read again at each connection, for others replace it before it ends.
	SeedFile, TokenFile string
	Cluster             string
	Node                string
	// AckTimeout is how long an alert may be without its acknowledgement before it
	// counts as not arrived; 5 s if 0.
	AckTimeout time.Duration
	Log        *slog.Logger
}

// Conn is the connection. Its methods may be called from any goroutine.
type Conn struct {
	opt    Options
	nc     *nats.Conn
	js     jetstream.JetStream
	closed chan struct{}
	// up tells the outbox, beat the heartbeat, that the connection has come (back).
	up, beat chan struct{}

	// ctx ends at Close, for the orders being handled.
	ctx      context.Context
	stop     context.CancelFunc
	handlers sync.WaitGroup
	once     sync.Once
	closeErr error

	mu sync.Mutex
	// subscriptions are those that bring work.
	subscriptions []*nats.Subscription
	// done are the answers that published alerts wait for.
	done map[*nats.Msg]func(error)
	// batches are the batches without an answer, by the last part of their reply subject.
	batches   map[string]*batch
	batchBase string
	// unbatched: the server or the stream takes no batches, until the next connection.
	unbatched atomic.Bool
	// forbidden is when each subject was last said to be forbidden.
	forbidden map[string]time.Time
}

// Connect returns a connection that may still be on its way: a server that does
// not answer is tried for ever. A wrong address, seed or key is an error at once.
func Connect(opt Options) (*Conn, error) {
	if opt.AckTimeout == 0 {
		opt.AckTimeout = 5 * time.Second
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if u, err := url.Parse(opt.URL); err != nil || u.Host == "" {
		return nil, fmt.Errorf("the NATS address %q is not like nats://127.0.0.1:4222", opt.URL)
	}
	key, err := credential(opt)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		opt: opt, closed: make(chan struct{}), up: make(chan struct{}, 1), beat: make(chan struct{}, 1),
		done: map[*nats.Msg]func(error){}, batches: map[string]*batch{}, forbidden: map[string]time.Time{},
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	if c.nc, err = c.dial(key); err != nil {
		c.stop()
		return nil, err
	}
	c.js, err = jetstream.New(c.nc, jetstream.WithPublishAsyncTimeout(opt.AckTimeout), jetstream.WithPublishAsyncMaxPending(maxPending),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) { c.settle(m, nil) }),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, m *nats.Msg, err error) { c.settle(m, err) }))
	if err == nil {
		err = c.hearBatches()
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// maxToken bounds the token's file.
const maxToken = 64 << 10

func credential(opt Options) (nats.Option, error) {
	if opt.TokenFile == "" {
		return key(opt.SeedFile)
	}
	if _, err := token(opt.TokenFile); err != nil {
		return nil, err
	}
	return nats.TokenHandler(func() string {
		t, err := token(opt.TokenFile)
		if err != nil {
			opt.Log.Error("the bus gets no token", "error", err)
		}
		return t
	}), nil
}

func token(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read the NATS token: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err != nil {
		return "", fmt.Errorf("read the NATS token: %w", err)
	}
	t := firstLine(b)
	if t == "" || len(t) == maxToken {
		return "", fmt.Errorf("%s does not hold a token", file)
	}
	return t, nil
}

// key reads the seed and returns the option that signs with it. The seed stays
// in the key pair, because each reconnect signs again.
func key(file string) (nats.Option, error) {
	seed, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the NATS key: %w", err)
	}
	pair, err := nkeys.FromSeed([]byte(firstLine(seed)))
	if err != nil {
		return nil, fmt.Errorf("%s does not hold an nkey seed (SU…): %w", file, err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return nats.Nkey(public, pair.Sign), nil
}

func firstLine(b []byte) string {
	for i, c := range b {
		if c == '\n' || c == '\r' {
			return string(b[:i])
		}
	}
	return string(b)
}

func (c *Conn) dial(key nats.Option) (*nats.Conn, error) {
	log := c.opt.Log
	options := []nats.Option{
		key,
		nats.Name("riposte agent " + c.opt.Node),
		nats.CustomInboxPrefix(alert.InboxPrefix(c.opt.Cluster, c.opt.Node)),
		nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectJitter(250*time.Millisecond, time.Second),
		// A key may come back after a change of the server's users.
		nats.IgnoreAuthErrorAbort(),
		// No buffer while away: what cannot be sent stays in the spool, once.
		nats.ReconnectBufSize(-1),
		nats.Timeout(3 * time.Second), nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2), nats.FlusherTimeout(5 * time.Second),
		nats.ConnectHandler(func(nc *nats.Conn) { c.connected(nc) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { c.connected(nc) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			c.failBatches(nats.ErrDisconnected)
			if c.ctx.Err() == nil {
				log.Warn("the bus is away, alerts wait in the spool", "error", err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { log.Debug("the bus does not answer", "error", err) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			if what, ok := refused(err); ok {
				c.forbid(what)
				return
			}
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			log.Error("the bus reports an error", "subject", subject, "error", err)
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(c.closed) }),
	}
	nc, err := nats.Connect(c.opt.URL, options...)
	switch {
	case err == nil:
		return nc, nil
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrTimeout), isNetwork(err),
		// Whom the server asks about a token may be away, or not know this pod yet. Meanwhile it
		// says PING, which the client takes for a wrong answer: an error without a name.
		c.opt.TokenFile != "":
		log.Warn("the bus does not answer yet, alerts wait in the spool", "url", c.opt.URL, "error", err)
		return nats.Connect(c.opt.URL, append(options, nats.RetryOnFailedConnect(true))...)
	case errors.Is(err, nats.ErrAuthorization):
		return nil, fmt.Errorf("the bus %s does not know the key of %s: is it the key of node %q in cluster %q? %w",
			c.opt.URL, c.opt.SeedFile, c.opt.Node, c.opt.Cluster, err)
	}
	return nil, fmt.Errorf("connect to the bus %s: %w", c.opt.URL, err)
}

// isNetwork says that the server may only be late.
func isNetwork(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &op) || errors.As(err, &dns)
}

func (c *Conn) connected(nc *nats.Conn) {
	c.unbatched.Store(false) // it may be another server
	c.opt.Log.Info("connected to the bus", "server", nc.ConnectedUrlRedacted())
	for _, told := range []chan struct{}{c.up, c.beat} {
		select {
		case told <- struct{}{}:
		default:
		}
	}
}

// Up has a value whenever the connection has come (back). One reader.
func (c *Conn) Up() <-chan struct{} { return c.up }

// Connected says whether the server can be reached at the moment.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// Close takes no more orders, waits for those being handled, sends what is
// written and ends the connection. It is bounded by closeTimeout.
func (c *Conn) Close() error {
	c.once.Do(func() { c.closeErr = c.close() })
	return c.closeErr
}

const closeTimeout = 2 * time.Second

func (c *Conn) close() error {
	c.mu.Lock()
	c.stop()
	subscriptions := c.subscriptions
	c.mu.Unlock()
	var errs []error
	for _, s := range subscriptions {
		errs = append(errs, s.Unsubscribe())
	}
	handled := make(chan struct{})
	go func() { c.handlers.Wait(); close(handled) }()
	late := time.NewTimer(closeTimeout)
	defer late.Stop()
	select {
	case <-handled:
	case <-late.C:
		errs = append(errs, errors.New("an order is still being handled"))
	}
	if c.nc.IsConnected() {
		if err := c.nc.FlushTimeout(closeTimeout); err != nil {
			c.opt.Log.Debug("the last words may not have reached the bus", "error", err)
		}
	}
	if c.js != nil {
		c.js.CleanupPublisher()
	}
	c.nc.Close()
	<-c.closed
	c.failBatches(nats.ErrConnectionClosed)
	return errors.Join(errs...)
}
