package publish

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"riposte/agent/alert"
)

// Sink takes alerts one after the other, on one goroutine.
type Sink interface {
	// Send delivers one alert and gives up when ctx ends.
	Send(ctx context.Context, m Message) error
	// Reopen gives up what is open, such as a file that was renamed by a log rotation.
	Reopen() error
	// Close gives back everything.
	Close() error
}

// Message is one alert as a Sink gets it.
type Message struct {
	// Line is the encoded alert and a line end; whoever needs none cuts it off.
	Line     []byte
	Priority alert.Priority
	Time     time.Time
	// JSON says that the line is an object, not text.
	JSON bool
}

// ChannelOptions configure a Channel.
type ChannelOptions struct {
	// Name is Falco's for the output, such as "file"; it stands in counters.
	Name     string
	Sink     Sink
	Encoding Encoding
	// Lines bounds how many alerts wait for a slow sink, 1024 if 0.
	Lines int
	// Bytes bounds their size, 16 MiB if 0.
	Bytes int64
	// Timeout bounds one delivery, 2 s if 0. A sink that cannot be interrupted is
	// reported and waited for.
	Timeout time.Duration
	Log     *slog.Logger
}

// Channel brings alerts to one of Falco's outputs. What the output is too slow
// for is dropped and counted; the event loop never waits.
type Channel struct {
	opt ChannelOptions
	// encoding is how alerts are written from now on.
	encoding atomic.Pointer[Encoding]
	queue    chan Message
	queued   atomic.Int64
	reopen   chan struct{}
	// retired is closed when nothing more comes.
	retired chan struct{}
	retire  sync.Once
	// ran says that Run has the sink, and closes it.
	ran atomic.Bool
	// full counts alerts that the queue had no room for, failed those that the sink
	// refused, stalled deliveries over the timeout that could not be interrupted.
	full, failed, stalled, sent atomic.Uint64
}

// drain bounds how long the end waits for what is queued, closeDrain how long for
// the sink to close.
const (
	drain      = time.Second
	closeDrain = 3 * time.Second
)

// NewChannel makes a Channel; call Run to start it.
func NewChannel(opt ChannelOptions) *Channel {
	opt.Lines, opt.Bytes, opt.Timeout = cmp.Or(opt.Lines, 1024), cmp.Or(opt.Bytes, 16<<20), cmp.Or(opt.Timeout, 2*time.Second)
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	c := &Channel{opt: opt, queue: make(chan Message, opt.Lines), reopen: make(chan struct{}, 1), retired: make(chan struct{})}
	c.encoding.Store(&opt.Encoding)
	return c
}

// SetEncoding changes how alerts are written, from the next Put on.
func (c *Channel) SetEncoding(e Encoding) { c.encoding.Store(&e) }

// Retire says that no Put comes any more: Run delivers what is queued, however
// long that takes, closes the sink and returns. It may be called again.
func (c *Channel) Retire() { c.retire.Do(func() { close(c.retired) }) }

// Put takes one alert and never waits: what there is no room for is dropped and counted.
func (c *Channel) Put(a *alert.Alert) error {
	m, err := c.encoding.Load().Encode(a)
	if err != nil {
		c.failed.Add(1)
		return err
	}
	size := int64(len(m.Line))
	if c.queued.Add(size) > c.opt.Bytes {
		c.queued.Add(-size)
		c.full.Add(1)
		return nil
	}
	select {
	case c.queue <- m:
	default:
		c.queued.Add(-size)
		c.full.Add(1)
	}
	return nil
}

// Reopen has the sink give up what is open, soon.
func (c *Channel) Reopen() {
	select {
	case c.reopen <- struct{}{}:
	default: // it is asked for already
	}
}

// Lost counts the alerts that did not get out, by the reason why.
func (c *Channel) Lost() map[string]uint64 {
	all := map[string]uint64{}
	for place, n := range map[string]*atomic.Uint64{"queue_full": &c.full, "failed": &c.failed, "stalled": &c.stalled} {
		if n := n.Load(); n > 0 {
			all["output_"+c.opt.Name+"_"+place] = n
		}
	}
	if more, ok := c.opt.Sink.(interface{ Lost() map[string]uint64 }); ok {
		for place, n := range more.Lost() {
			all["output_"+c.opt.Name+"_"+place] = n
		}
	}
	return all
}

// Name is the output's.
func (c *Channel) Name() string { return c.opt.Name }

// Sent is how many alerts were delivered.
func (c *Channel) Sent() uint64 { return c.sent.Load() }

// Dropped is how many alerts the queue had no room for.
func (c *Channel) Dropped() uint64 { return c.full.Load() }

// Run delivers until ctx ends, and then what is queued, for a bounded time: a
// sink that hangs is left behind. See also Retire.
func (c *Channel) Run(ctx context.Context) error {
	c.ran.Store(true)
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	sent, closed := make(chan struct{}), make(chan error, 1)
	go func() {
		c.deliver(ctx, sending)
		close(sent)
		closed <- c.opt.Sink.Close()
	}()
	select {
	case <-ctx.Done():
	case <-sent:
	}
	select {
	case <-sent:
	case <-time.After(drain):
		giveUp()
		c.opt.Log.Warn("an output does not take its last alerts", "output", c.opt.Name, "alerts", len(c.queue))
	}
	select {
	case err := <-closed:
		if err != nil {
			return fmt.Errorf("close the output %s: %w", c.opt.Name, err)
		}
	case <-time.After(closeDrain):
		c.opt.Log.Warn("an output does not close and is left behind", "output", c.opt.Name)
	}
	return nil
}

// Close closes the sink of a Channel that never ran.
func (c *Channel) Close() error {
	if c.ran.Load() {
		return nil
	}
	return c.opt.Sink.Close()
}

// deliver works until ctx ends or the Channel is retired, and the queue is empty,
// or sending ends.
func (c *Channel) deliver(ctx, sending context.Context) {
	broken := false
	for sending.Err() == nil {
		var m Message
		select {
		case <-c.reopen:
			if err := c.opt.Sink.Reopen(); err != nil {
				c.opt.Log.Warn("an output could not be opened again", "output", c.opt.Name, "error", err)
			}
			continue
		case m = <-c.queue:
		case <-ctx.Done():
			if len(c.queue) == 0 {
				return
			}
			m = <-c.queue
		case <-c.retired:
			if len(c.queue) == 0 {
				return
			}
			m = <-c.queue
		}
		c.queued.Add(-int64(len(m.Line)))
		err := c.send(sending, m)
		if err != nil {
			c.failed.Add(1)
		} else {
			c.sent.Add(1)
		}
		if (err != nil) != broken {
			broken = err != nil
			c.opt.Log.Log(ctx, slog.LevelWarn, "an output's state changed", "output", c.opt.Name, "works", !broken, "error", err)
		}
	}
	c.failed.Add(uint64(len(c.queue)))
}

func (c *Channel) send(ctx context.Context, m Message) error {
	ctx, stop := context.WithTimeout(ctx, c.opt.Timeout)
	defer stop()
	// A little later than the deadline, so that only a sink that ignores it is told.
	watch := time.AfterFunc(c.opt.Timeout+c.opt.Timeout/4, func() {
		c.stalled.Add(1)
		c.opt.Log.Warn("an output takes too long for an alert, and cannot be interrupted", "output", c.opt.Name, "timeout", c.opt.Timeout)
	})
	defer watch.Stop()
	return c.opt.Sink.Send(ctx, m)
}

// writer is the Sink of a plain writer.
type writer struct{ to io.Writer }

// Writer makes the Sink of a plain writer, such as the standard output.
func Writer(to io.Writer) Sink { return writer{to} }

func (w writer) Send(_ context.Context, m Message) error {
	_, err := w.to.Write(m.Line)
	return err
}

func (writer) Reopen() error { return nil }
func (writer) Close() error  { return nil }
