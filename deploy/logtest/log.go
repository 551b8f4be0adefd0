// Package logtest keeps what the parts of a test print and log, to be read while they
// go on.
package logtest

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// Log is a writer that may be read while it is written. The zero value is empty.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
	// more is closed by the next Write, nil while nobody waits for one.
	more chan struct{}
}

// Write adds to it; there is no error.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return l.text.Write(p)
}

// String is all until now.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Has says whether a text has been written.
func (l *Log) Has(text string) bool { return strings.Contains(l.String(), text) }

// Await returns once a text has been written, and fails the test after a minute.
func (l *Log) Await(t testing.TB, text string) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		more := l.next()
		if l.Has(text) {
			return
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("nobody wrote %q within a minute, but:\n%s", text, l)
		}
	}
}

// next is closed by the next Write.
func (l *Log) next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return l.more
}
