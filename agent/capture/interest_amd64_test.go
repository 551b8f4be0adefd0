//go:build linux

package capture_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture"
	"riposte/agent/capture/actortest"
	"riposte/agent/event"
)

// watcher sees the failed opens of actors, one test step after the other.
type watcher struct {
	t     *testing.T
	src   *capture.Live
	seen  chan event.Event
	steps int
	// clock is an actor without a mask, whose events say how far the stream is.
	clock *actortest.Actor
}

func newWatcher(t *testing.T, raw bool) *watcher {
	src := open(t, capture.Options{Raw: raw, Types: []event.Type{event.Openat, event.Unlinkat}}).(*capture.Live)
	require.NoError(t, src.VoidInterest())
	w := &watcher{t: t, src: src, seen: make(chan event.Event, 1<<16), clock: actortest.Start(t, "")}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- src.Run(ctx, func(e *event.Event) {
			c := *e
			c.Args, c.Data = nil, nil
			w.seen <- c
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return w
}

// opens counts the opens of an actor's that came of what do does; last is the actor's
// last event of any kind since the step before.
func (w *watcher) opens(a *actortest.Actor, do func()) (n int, last event.Event) {
	w.t.Helper()
	do()
	w.steps++
	end := fmt.Sprintf("/no-such-file/%d", w.steps)
	w.clock.Do("open", end, "1")
	for {
		select {
		case e := <-w.seen:
			switch {
			case e.File.NameRaw == end:
				return n, last
			case e.Task.PID == int32(a.PID):
				last = e
				if e.File.NameRaw == "/watched" {
					n++
				}
			}
		case <-time.After(30 * time.Second):
			w.t.Fatal("the end of a step was not seen; lost: ", w.src.Lost())
		}
	}
}

func look(a *actortest.Actor) func() { return func() { a.Do("open", "/watched", "3") } }

// without leaves openat out, as of an event.
func without(e *event.Event) *capture.Interest {
	all := ^uint64(0)
	i := &capture.Interest{
		PID: e.Task.PID, StartNS: e.Task.StartNS, Gen: e.Gen, Epoch: e.Epoch, CgroupID: e.Task.CgroupID, PPID: e.Task.PPID,
		UID: e.Task.UID, GID: e.Task.GID, Comm: e.Task.Comm, Wanted: [4]uint64{all, all, all, all},
	}
	for _, t := range []event.Type{event.Openat, event.Sendto} {
		i.Wanted[t>>6] &^= 1 << (t & 63)
	}
	return i
}

// blind sets the mask and makes sure that it holds: any other process of the machine
// that has children may end it at any time.
func (w *watcher) blind(a *actortest.Actor) event.Event {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		require.NoError(w.t, w.src.DropInterest(int32(a.PID)))
		n, e := w.opens(a, look(a))
		require.Equal(w.t, 3, n)
		require.NotZero(w.t, e.Gen)
		require.NoError(w.t, w.src.SetInterest(without(&e)))
		before, _ := w.src.Masked()
		if n, _ = w.opens(a, look(a)); n > 0 {
			continue
		}
		after, _ := w.src.Masked()
		require.Equal(w.t, before+3, after)
		return e
	}
	w.t.Fatal("no mask holds")
	return event.Event{}
}

func (w *watcher) seesAgain(a *actortest.Actor, why string) {
	w.t.Helper()
	n, _ := w.opens(a, look(a))
	require.Equal(w.t, 3, n, why)
}

// TestInterest masks opens of a process off, and tries everything that must end it.
func TestInterest(t *testing.T) {
	for _, raw := range []bool{false, true} {
		t.Run(fmt.Sprintf("raw=%v", raw), func(t *testing.T) {
			w := newWatcher(t, raw)
			parent := actortest.Start(t, "")
			a := parent.Spawn("child")
			old := w.blind(a)
			n, last := w.opens(a, func() { a.Do("unlink", "/watched", "1") })
			require.Zero(t, n)
			require.Equal(t, event.Unlinkat, last.Type, "another type is told all the same")

			for _, step := range []struct {
				why  string
				who  *actortest.Actor
				what []string
			}{
				{"its name", a, []string{"name", "other"}},
				{"its name by /proc", a, []string{"comm", "another"}},
				{"its user", a, []string{"uid", "1234"}},
				{"its user again", a, []string{"uid", "0"}},
				{"a thread's name", a, []string{"thread", "worker"}},
				{"another program", a, []string{"exec", "again"}},
				{"the parent's name", parent, []string{"name", "boss"}},
				{"the parent's program", parent, []string{"exec", "other"}},
			} {
				w.blind(a)
				require.Contains(t, []string{"done", "ready"}, step.who.Do(step.what...), step.why)
				w.seesAgain(a, step.why)
			}
			require.NoError(t, w.src.SetInterest(without(&old)))
			w.seesAgain(a, "a mask of an earlier generation")
			now := w.blind(a)
			_, _ = w.opens(a, func() { parent.Do("name", "boss2") })
			require.NoError(t, w.src.SetInterest(without(&now)))
			w.seesAgain(a, "a mask of an earlier epoch")

			w.blind(a)
			require.NoError(t, w.src.VoidInterest())
			w.seesAgain(a, "all masks are void")
			w.blind(a)
			require.NoError(t, w.src.DropInterest(int32(a.PID)))
			require.NoError(t, w.src.DropInterest(int32(a.PID)), "there is none")
			w.seesAgain(a, "the mask is dropped")

			child := a.Spawn("grandchild")
			w.blind(a)
			w.seesAgain(child, "a child has none")
			w.blind(child)
			_, _ = w.opens(child, func() { parent.Do("exit") })
			w.seesAgain(child, "its grandparent has ended")
			w.blind(child)
			_, last = w.opens(a, func() { a.Do("exit") })
			w.seesAgain(child, "its parent has ended")
			require.NoError(t, w.src.Close())
			require.NoError(t, w.src.SetInterest(without(&last)))
			require.NoError(t, w.src.DropInterest(1))
			require.NoError(t, w.src.VoidInterest())
		})
	}
}
