package agent

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
	"riposte/agent/rules"
)

// holding is a pipeline that waits for half a second, with a rule about the image.
func holding(t *testing.T) (*pipeline, *kept) {
	p, out := newPipeline(t)
	set, err := rules.Load(rules.File{Name: "test.yaml", Content: []byte(`
- rule: Not ours
  desc: fires for every open in a container of another image, and where that is not known
  condition: evt.type = openat and not container.image.repository = ours
  output: x (file=%fd.name image=%container.image.repository comm=%proc.name parent=%proc.pname)
  priority: NOTICE
`)})
	require.NoError(t, err)
	p.current.Store(&settings{rules: set, outputs: []output{out}})
	p.parked = newHold(500 * time.Millisecond)
	return p, out
}

// box is a container of which a runtime was asked.
func box(name string) *event.Container {
	return &event.Container{ID: strings.Repeat(name, 64), Metadata: event.MetadataAwaited}
}

func openedIn(c *event.Container, file string) *event.Event {
	e := opened(file, file)
	e.Proc.Container = c
	return e
}

func (k *kept) files() (names []string) {
	for _, a := range k.all {
		names = append(names, fmt.Sprint(a.OutputFields["fd.name"]))
	}
	return names
}

// answer is what Agent.learn does.
func (p *pipeline) answer(c *event.Container, m event.Metadata, repository string) {
	p.turn.Lock()
	defer p.turn.Unlock()
	c.Metadata, c.Repository = m, repository
	p.release(p.parked.settled(time.Now()))
}

func TestEventsWaitForMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, out := holding(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { p.releaseInTime(ctx); close(ended) }()
		defer func() { cancel(); <-ended }()

		// What was told is read in the pipeline's turn, as it is written.
		told := func(look func()) {
			p.turn.Lock()
			defer p.turn.Unlock()
			look()
		}

		ours, theirs, slow := box("a"), box("b"), box("c")
		p.handle(openedIn(ours, "/1"))
		p.handle(openedIn(theirs, "/2"))
		p.handle(openedIn(slow, "/3"))
		p.handle(openedIn(slow, "/4"))
		p.handle(openedIn(event.Host, "/5"))
		told(func() { require.Equal(t, []string{"/5"}, out.files(), "nobody waits for another container") })

		time.Sleep(100 * time.Millisecond)
		p.answer(ours, event.MetadataKnown, "ours")
		p.answer(theirs, event.MetadataKnown, "theirs")
		told(func() {
			require.Equal(t, []string{"/5", "/2"}, out.files())
			require.Equal(t, "theirs", out.all[1].OutputFields["container.image.repository"])
			require.False(t, out.all[1].Riposte.Container.MetadataMissing)
		})

		time.Sleep(399 * time.Millisecond)
		synctest.Wait()
		told(func() { require.Len(t, out.all, 2) })
		time.Sleep(time.Millisecond)
		synctest.Wait()
		told(func() {
			require.Equal(t, []string{"/5", "/2", "/3", "/4"}, out.files(), "in their order")
			require.True(t, out.all[3].Riposte.Container.MetadataMissing)
		})
		require.Equal(t, uint64(2), p.parked.late.Load())

		p.handle(openedIn(slow, "/6"))
		told(func() {
			require.Equal(t, "/6", out.files()[4], "a container is waited for once")
			require.Empty(t, p.parked.queues)
			require.Zero(t, p.parked.bytes)
		})
	})
}

func TestAContainerThatNoRuntimeKnowsIsLetGo(t *testing.T) {
	p, out := holding(t)
	c := box("a")
	p.handle(openedIn(c, "/1"))
	p.answer(c, event.MetadataNone, "")
	require.Equal(t, []string{"/1"}, out.files())
	require.Zero(t, p.parked.late.Load())
	require.False(t, out.all[0].Riposte.Container.MetadataMissing)
}

// TestAnEventIsKeptAsItWas: what its process and its parent do meanwhile is not seen,
// and nor is what becomes of the event's memory.
func TestAnEventIsKeptAsItWas(t *testing.T) {
	p, out := holding(t)
	c := box("a")
	e := openedIn(c, "/1")
	proc := e.Proc
	e.Args = []event.Arg{{Name: "name", Text: "/1"}}
	p.handle(e)
	e.Args[0].Text = "/other"
	e.Reset()
	parent := proc.Parent
	proc.Comm, proc.Parent.Comm, proc.Parent = "later", "reaper", nil
	p.answer(c, event.MetadataKnown, "theirs")
	require.Equal(t, "cat", out.all[0].OutputFields["proc.name"])
	require.Equal(t, "init", out.all[0].OutputFields["proc.pname"])
	require.Equal(t, "reaper", parent.Comm)
}

func TestWhatWaitsIsBounded(t *testing.T) {
	p, out := holding(t)
	flood, quiet := box("a"), box("b")
	p.handle(openedIn(quiet, "/quiet"))
	for range maxHeldEvents + 5 {
		p.handle(openedIn(flood, "/x"))
	}
	require.Len(t, out.all, maxHeldEvents+5)
	require.Equal(t, uint64(maxHeldEvents), p.parked.full.Load())
	require.True(t, out.all[0].Riposte.Container.MetadataMissing)

	big := box("c")
	for p.parked.full.Load() == maxHeldEvents {
		e := openedIn(big, "/x")
		e.Data = make([]byte, 1<<20)
		p.handle(e)
	}
	require.Len(t, p.parked.queues, 1)
	p.releaseAll()
	require.Equal(t, "/quiet", out.files()[len(out.all)-1])
	require.Zero(t, p.parked.bytes)
}
