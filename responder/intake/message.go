package intake

import "time"

// message is one posted alert on its way through the ingest. It tells its answer
// to whoever waits for it.
type message struct {
	subject, id string
	data        []byte
	received    time.Time
	answer      chan answer
}

// answer is what became of a message: stored, to be given again after a while, or
// put aside.
type answer struct {
	again  time.Duration
	aside  string
	stored bool
}

func (m *message) Subject() string       { return m.subject }
func (m *message) ID() string            { return m.id }
func (m *message) Data() []byte          { return m.data }
func (m *message) ReceivedAt() time.Time { return m.received }

// Ack says that the alert is stored.
func (m *message) Ack() error { m.answer <- answer{stored: true}; return nil }

// Nak says that it is to be given again.
func (m *message) Nak(delay time.Duration) error {
	m.answer <- answer{again: max(delay, time.Millisecond)}
	return nil
}

// Term says that it is among the dead letters.
func (m *message) Term(reason string) error { m.answer <- answer{aside: reason}; return nil }
