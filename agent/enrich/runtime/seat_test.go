package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/agent/event"
)

// slow is a runtime that never has a record of a sandbox.
type slow struct{}

func (slow) open(context.Context) (string, error)   { return "slow", nil }
func (slow) list(context.Context) ([]string, error) { return nil, nil }
func (slow) close()                                 {}

func (slow) follow(ctx context.Context, ready func(), _ func(string)) error {
	ready()
	<-ctx.Done()
	return ctx.Err()
}

func (slow) inspect(_ context.Context, id string) (*event.Container, error) {
	if strings.HasPrefix(id, "sandbox") {
		return nil, errNotFound
	}
	return &event.Container{Name: "cart"}, nil
}

// Many pods start together, and the runtime has no record of their sandboxes yet. That
// holds up nobody else's container.
func TestWaitingForSandboxesHoldsNobodyUp(t *testing.T) {
	before := goleak.IgnoreCurrent()
	socket := filepath.Join(t.TempDir(), "socket")
	require.NoError(t, os.WriteFile(socket, nil, 0o600))
	const sandboxes = 10 * workers
	answers := make(chan Answer, sandboxes+1)
	l := New(Options{CRI: []string{}, Docker: []string{}, Tell: func(a Answer) { answers <- a }})
	l.seats = append(l.seats, newSeat(l, socket, slow{}))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	require.True(t, l.WaitListed(t.Context()))
	for i := range sandboxes {
		require.True(t, l.Ask(fmt.Sprintf("sandbox-%d", i), true))
	}
	require.True(t, l.Ask("container", true))
	first := <-answers
	require.Equal(t, "container", first.ID)
	require.NotNil(t, first.Facts)
	for range sandboxes {
		a := <-answers
		require.Nil(t, a.Facts)
		require.False(t, a.Failed, "it was looked for to the end")
	}

	// One that waits for its next try when all ends is answered, too.
	require.True(t, l.Ask("sandbox", true))
	cancel()
	running.Wait()
	require.Equal(t, "sandbox", (<-answers).ID)
	goleak.VerifyNone(t, before)
}

// gated is a runtime that says what it was asked and answers when it is let.
type gated struct {
	slow
	asked chan string
	gate  chan struct{}
}

func (g gated) inspect(_ context.Context, id string) (*event.Container, error) {
	g.asked <- id
	<-g.gate
	return &event.Container{}, nil
}

// What somebody waits for goes before what the runtime told.
func TestQuestionsComeBeforeNews(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	require.NoError(t, os.WriteFile(socket, nil, 0o600))
	l := New(Options{CRI: []string{}, Docker: []string{}, Tell: func(Answer) {}})
	g := gated{asked: make(chan string, 1024), gate: make(chan struct{})}
	s := newSeat(l, socket, g)
	l.seats = append(l.seats, s)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	t.Cleanup(func() { close(g.gate) })
	require.True(t, l.WaitListed(t.Context()))
	for i := range 2 * workers {
		s.enqueue(ctx, ask{id: fmt.Sprintf("news-%d", i), told: true})
	}
	for range workers {
		<-g.asked
	}
	require.True(t, l.Ask("question", false))
	g.gate <- struct{}{}
	require.Equal(t, "question", <-g.asked)
}
