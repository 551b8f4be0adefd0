package access

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys is how many addresses or names a Limiter remembers.
const maxKeys = 4096

// Limiter bounds how often each of many may do something.
type Limiter struct {
	every rate.Limit
	burst int
	now   func() time.Time
	keys  *lru[string, *rate.Limiter]
}

// NewLimiter allows each key perSecond in the long run and burst at once.
func NewLimiter(perSecond float64, burst int, now func() time.Time) *Limiter {
	return &Limiter{every: rate.Limit(perSecond), burst: burst, now: now, keys: newLRU[string, *rate.Limiter](maxKeys)}
}

// Take uses one of a key's turns. Without one left it says how long to wait for it,
// and takes nothing.
func (l *Limiter) Take(key string) (wait time.Duration) {
	r := l.of(key)
	now := l.now()
	if r.AllowN(now, 1) {
		return 0
	}
	return l.until(r, now)
}

// Wait says how long a key has no turn left, without using one.
func (l *Limiter) Wait(key string) time.Duration {
	r, ok := l.keys.get(key)
	if !ok {
		return 0
	}
	now := l.now()
	if r.TokensAt(now) >= 1 {
		return 0
	}
	return l.until(r, now)
}

func (l *Limiter) until(r *rate.Limiter, now time.Time) time.Duration {
	return time.Duration((1 - r.TokensAt(now)) / float64(l.every) * float64(time.Second))
}

func (l *Limiter) of(key string) *rate.Limiter {
	r, ok := l.keys.get(key)
	if !ok {
		// Two that come at once may each make one: the loser's turn is free.
		r = rate.NewLimiter(l.every, l.burst)
		l.keys.put(key, r)
	}
	return r
}

// Address is what a request's remote address counts as: an IPv6 host usually has a
// whole /64 to choose from.
func Address(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return p.String()
}

// goodFor is how long a token that was good is remembered.
const goodFor = time.Hour

// Good remembers, by their hash, tokens that were good a short time ago.
type Good struct {
	now  func() time.Time
	seen *lru[[32]byte, time.Time]
}

// NewGood remembers none.
func NewGood(now func() time.Time) *Good {
	return &Good{now: now, seen: newLRU[[32]byte, time.Time](maxKeys)}
}

// Note remembers a token.
func (g *Good) Note(sum [32]byte) { g.seen.put(sum, g.now()) }

// Recent says whether a token was good within the last hour.
func (g *Good) Recent(sum [32]byte) bool {
	at, ok := g.seen.get(sum)
	return ok && g.now().Sub(at) < goodFor
}
