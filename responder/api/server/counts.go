package server

import (
	"sync/atomic"
	"time"

	"riposte/responder/api"
)

// verifications counts how verifications of the record ended, and keeps the last one
// that read it to its end.
type verifications struct {
	ok, broken, failed atomic.Uint64
	last               atomic.Pointer[api.RecordVerified]
}

func (v *verifications) count(ok bool, entries int64, err error) {
	if err == nil {
		v.last.Store(&api.RecordVerified{At: time.Now().UTC().Truncate(time.Microsecond), OK: ok, Entries: entries})
	}
	switch {
	case err != nil:
		v.failed.Add(1)
	case ok:
		v.ok.Add(1)
	default:
		v.broken.Add(1)
	}
}

// Verifications are this process's by their result: ok, broken, or failed for one
// that could not read the record to its end.
func (s *Server) Verifications() map[string]uint64 {
	return map[string]uint64{"ok": s.verified.ok.Load(), "broken": s.verified.broken.Load(), "failed": s.verified.failed.Load()}
}

// Events says how many hear the event stream, and what it dropped and refused.
func (s *Server) Events() api.EventsStatus { return s.feed.status() }
