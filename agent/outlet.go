package agent

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"riposte/agent/publish"
)

// outlet is one of the outputs that Falco has too, as the options want it.
type outlet struct {
	key  outletKey
	open func() (publish.Sink, error)
}

// outletKey is equal for outlets that are the same.
type outletKey struct {
	name    string
	options any
	lines   int
	timeout time.Duration
}

// channel is an outlet that was opened.
type channel struct {
	*publish.Channel
	key outletKey
}

// outlets lists what the options want.
func (o *Options) outlets() (all []outlet) {
	add := func(name string, options any, timeout time.Duration, open func() (publish.Sink, error)) {
		all = append(all, outlet{outletKey{name, options, o.QueueLines, timeout}, open})
	}
	if o.Output != nil {
		add("stdout", nil, o.OutputTimeout, func() (publish.Sink, error) { return publish.Writer(o.Output), nil })
	}
	if o.File != nil {
		add("file", *o.File, o.OutputTimeout, func() (publish.Sink, error) { return publish.OpenFile(*o.File) })
	}
	if o.HTTP != nil {
		add("http", *o.HTTP, o.OutputTimeout*time.Duration(o.HTTP.MaxTimeouts+1)+time.Second, func() (publish.Sink, error) {
			h := *o.HTTP
			h.Timeout, h.Log = o.OutputTimeout, o.Log.With("component", "http output")
			return publish.OpenHTTP(h)
		})
	}
	if o.Syslog != nil {
		add("syslog", *o.Syslog, o.OutputTimeout, func() (publish.Sink, error) {
			s := *o.Syslog
			s.Hostname = o.Hostname
			return publish.OpenSyslog(s), nil
		})
	}
	if o.Program != nil {
		add("program", *o.Program, o.OutputTimeout, func() (publish.Sink, error) {
			p := *o.Program
			p.Timeout = o.OutputTimeout
			return publish.OpenProgram(p), nil
		})
	}
	return all
}

// Outlet is one of the options' outputs, opened for whoever delivers himself.
type Outlet struct {
	Name string
	// Timeout bounds one delivery.
	Timeout time.Duration
	publish.Sink
}

// OpenOutlets opens the outputs but the bus. The caller closes them; after an
// error none is open.
func (o *Options) OpenOutlets() (all []Outlet, err error) {
	for _, out := range o.outlets() {
		s, err := out.open()
		if err != nil {
			for _, open := range all {
				err = errors.Join(err, open.Close())
			}
			return nil, err
		}
		all = append(all, Outlet{out.key.name, out.key.timeout, s})
	}
	return all, nil
}

// openChannels opens what the options want and is not open already. After an
// error nothing new is open.
func (a *Agent) openChannels(o *Options, old []channel) (all, fresh []channel, err error) {
	for _, out := range o.outlets() {
		if i := slices.IndexFunc(old, func(c channel) bool { return c.key == out.key }); i >= 0 {
			all = append(all, old[i])
			continue
		}
		s, err := out.open()
		if err != nil {
			for _, c := range fresh {
				err = errors.Join(err, c.Close())
			}
			return nil, nil, err
		}
		c := channel{publish.NewChannel(publish.ChannelOptions{
			Name: out.key.name, Sink: s, Encoding: o.Encoding, Lines: out.key.lines, Timeout: out.key.timeout, Log: a.log,
		}), out.key}
		all, fresh = append(all, c), append(fresh, c)
	}
	return all, fresh, nil
}

// tally counts what the channels did, those that are no more included.
type tally struct {
	mu         sync.Mutex
	live       []*publish.Channel
	lost, sent map[string]uint64
	dropped    uint64
}

func (t *tally) add(c *publish.Channel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live = append(t.live, c)
}

// end keeps the figures of a channel that has ended for good.
func (t *tally) end(c *publish.Channel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live = slices.DeleteFunc(t.live, func(l *publish.Channel) bool { return l == c })
	if t.lost == nil {
		t.lost, t.sent = map[string]uint64{}, map[string]uint64{}
	}
	t.dropped += count(c, t.lost, t.sent)
}

// counts are the figures of all channels by now: what was lost, by the place, what
// was sent, by the output, and what the queues had no room for.
func (t *tally) counts() (lost, sent map[string]uint64, dropped uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lost, sent, dropped = map[string]uint64{}, map[string]uint64{}, t.dropped
	maps.Copy(lost, t.lost)
	maps.Copy(sent, t.sent)
	for _, c := range t.live {
		dropped += count(c, lost, sent)
	}
	return lost, sent, dropped
}

func count(c *publish.Channel, lost, sent map[string]uint64) (dropped uint64) {
	for place, n := range c.Lost() {
		lost[place] += n
	}
	sent[c.Name()] += c.Sent()
	return c.Dropped()
}
