package server

import "context"

// Endpoints lists every pattern that is served and whether it is open.
func Endpoints(s *Server) map[string]bool {
	all := map[string]bool{}
	for _, r := range s.table() {
		all[r.pattern] = r.open
	}
	return all
}

// MaxQueued and MaxSubscribers are the feed's bounds.
const (
	MaxQueued      = maxQueued
	MaxSubscribers = maxSubscribers
)

// Subscribe opens a stream that nobody reads until the caller does; open is false
// once the feed has sent it away.
func Subscribe(ctx context.Context, s *Server) (next func() (name string, open bool), err error) {
	sub, _, err := s.feed.subscribe(ctx, "")
	if err != nil {
		return nil, err
	}
	return func() (string, bool) { m, open := <-sub.messages; return m.name, open }, nil
}
