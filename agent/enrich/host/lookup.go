// Package host finds out the addresses of the domain names that rules ask for, so that
// a rule can ask whether a connection goes to a name. Names are resolved again and
// again in the background; whoever asks for an address never waits.
package host

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// A name is resolved again after firstDelay, and while nothing changes after twice
	// the time each time, up to maxDelay. As in Falco.
	firstDelay = 10 * time.Second
	maxDelay   = 320 * time.Second
	// After idle without a question nothing is resolved until the next one.
	idle    = time.Hour
	timeout = 10 * time.Second
	// parallel bounds the questions to the resolver at once, maxNames and maxAddresses
	// what is kept.
	parallel     = 4
	maxNames     = 1024
	maxAddresses = 256
)

// hostname is what is worth a question: rules may hold anything.
var hostname = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$`)

// Options of New.
type Options struct {
	// Resolver answers. Default: net.DefaultResolver.
	Resolver *net.Resolver
	// Log is for names that have no address. Default: nothing is logged.
	Log *slog.Logger
}

// Lookup knows the addresses of names. Any goroutine may call its methods.
type Lookup struct {
	resolver *net.Resolver
	log      *slog.Logger
	// byAddress is replaced as a whole.
	byAddress atomic.Pointer[map[netip.Addr][]string]
	asked     atomic.Int64 // when Names was called last, Unix seconds
	wake      chan struct{}
	failed    atomic.Uint64

	mu    sync.Mutex
	names map[string]*name
}

// name is one name and what it was found to be.
type name struct {
	addresses []netip.Addr
	delay     time.Duration
	due       time.Time
	failing   bool
}

// New makes a Lookup without names.
func New(o Options) *Lookup {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Lookup{resolver: o.Resolver, log: o.Log, wake: make(chan struct{}, 1), names: map[string]*name{}}
	l.byAddress.Store(&map[netip.Addr][]string{})
	l.asked.Store(time.Now().Unix())
	return l
}

// Watch says which names are asked for from now on: those of the rules in force.
func (l *Lookup) Watch(names []string) {
	l.mu.Lock()
	old := l.names
	l.names = map[string]*name{}
	for _, n := range names {
		if !hostname.MatchString(n) || len(l.names) >= maxNames {
			continue
		}
		if l.names[n] = old[n]; l.names[n] == nil {
			l.names[n] = &name{delay: firstDelay}
		}
	}
	l.publish()
	l.mu.Unlock()
	l.rouse()
}

// Names are the watched names that have this address now, in order. It never waits.
// The list must not be changed.
func (l *Lookup) Names(a netip.Addr) []string {
	if now := time.Now().Unix(); l.asked.Load() != now {
		if then := l.asked.Swap(now); now-then > int64(idle/time.Second) {
			l.rouse()
		}
	}
	return (*l.byAddress.Load())[a.Unmap().WithZone("")]
}

// Counts are the questions that had no answer. Any goroutine may call it.
func (l *Lookup) Counts() map[string]uint64 {
	return map[string]uint64{"host_unresolved": l.failed.Load()}
}

func (l *Lookup) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run resolves what is due until ctx ends.
func (l *Lookup) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-timer.C:
		}
		next, ok := l.resolveDue(ctx)
		if ok {
			timer.Reset(max(time.Until(next), 0))
		}
	}
}

// resolveDue resolves every name whose time has come and says when the next one's
// does; not ok if there is none, or nobody asks any more.
func (l *Lookup) resolveDue(ctx context.Context) (next time.Time, ok bool) {
	now := time.Now()
	if now.Unix()-l.asked.Load() > int64(idle/time.Second) {
		l.forget()
		return next, false
	}
	l.mu.Lock()
	var g errgroup.Group
	g.SetLimit(parallel)
	var due []string
	for n, known := range l.names {
		if !known.due.After(now) {
			due = append(due, n)
		}
	}
	l.mu.Unlock()
	slices.Sort(due)
	for _, n := range due {
		g.Go(func() error { l.resolve(ctx, n); return nil })
	}
	_ = g.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, known := range l.names {
		if !ok || known.due.Before(next) {
			next, ok = known.due, true
		}
	}
	return next, ok
}

// forget drops all addresses: after an hour nobody knows whether they are still true.
func (l *Lookup) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range l.names {
		l.names[n] = &name{delay: firstDelay}
	}
	l.publish()
}

func (l *Lookup) resolve(ctx context.Context, n string) {
	short, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	found, err := l.resolver.LookupNetIP(short, "ip", n)
	for i, a := range found {
		found[i] = a.Unmap().WithZone("")
	}
	slices.SortFunc(found, netip.Addr.Compare)
	found = slices.Compact(found)
	found = found[:min(len(found), maxAddresses)]

	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.names[n]
	if known == nil || ctx.Err() != nil {
		return
	}
	changed := err == nil && !slices.Equal(found, known.addresses)
	if changed {
		known.delay = firstDelay
	} else if !known.due.IsZero() {
		known.delay = min(2*known.delay, maxDelay)
	}
	known.due = time.Now().Add(known.delay)
	if err != nil {
		// What was true is not less likely now; only after an hour it is dropped.
		l.failed.Add(1)
		if !known.failing {
			l.log.Info("a name that a rule asks for has no address yet", "name", n, "error", err)
		}
		known.failing = true
		return
	}
	known.failing = false
	if changed {
		known.addresses = found
		l.publish()
	}
}

// publish makes the answers anew; mu is held.
func (l *Lookup) publish() {
	all := map[netip.Addr][]string{}
	for n, known := range l.names {
		for _, a := range known.addresses {
			all[a] = append(all[a], n)
		}
	}
	for _, names := range all {
		slices.Sort(names)
	}
	l.byAddress.Store(&all)
}
