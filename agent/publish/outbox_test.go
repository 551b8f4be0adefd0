package publish_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/agent/alert"
	"riposte/agent/publish"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	goleak.VerifyTestMain(m)
}

// memoryBus is a bus whose answers the test decides.
type memoryBus struct {
	mu   sync.Mutex
	away error
	// answer acknowledges at once with its result; nil holds the answers back.
	answer func(id string) error
	got    []string
	held   []func(error)
	up     chan struct{}
	// batched takes batches; bodies are what came on a subject that is no alert's.
	batched bool
	batches [][]string
	bodies  [][]byte
	// arrived has one value for each message.
	arrived chan string
}

func newBus() *memoryBus {
	return &memoryBus{up: make(chan struct{}, 1), arrived: make(chan string, 1<<16), answer: func(string) error { return nil }}
}

func (b *memoryBus) Up() <-chan struct{} { return b.up }

func (b *memoryBus) Batches() bool { return b.batched }

func (b *memoryBus) PublishBatch(all []publish.Packet, done func(error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away != nil {
		return b.away
	}
	var ids []string
	for _, p := range all {
		ids = append(ids, p.ID)
	}
	b.batches = append(b.batches, ids)
	err := b.answer(ids[0])
	if err == nil {
		for _, id := range ids {
			b.arrived <- id
		}
	}
	done(err)
	return nil
}

func (b *memoryBus) Publish(subject, id string, body []byte, done func(error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away != nil {
		return b.away
	}
	if alert.IsLossSubject(subject) {
		b.bodies = append(b.bodies, body)
	}
	b.got = append(b.got, id)
	b.arrived <- id
	if b.answer == nil {
		b.held = append(b.held, done)
		return nil
	}
	done(b.answer(id))
	return nil
}

func (b *memoryBus) setAway(err error) {
	b.mu.Lock()
	b.away = err
	b.mu.Unlock()
	if err == nil {
		b.up <- struct{}{}
	}
}

func (b *memoryBus) wait(t *testing.T, n int) []string {
	t.Helper()
	var got []string
	late := time.After(20 * time.Second)
	for len(got) < n {
		select {
		case id := <-b.arrived:
			got = append(got, id)
		case <-late:
			t.Fatalf("only %d of %d alerts arrived", len(got), n)
		}
	}
	return got
}

func makeAlert(seq int, p alert.Priority) *alert.Alert {
	return &alert.Alert{
		UUID: "u", Time: time.Unix(int64(seq), 0), Rule: "a rule", Priority: p, Source: "syscall", Hostname: "h", Output: "out",
		OutputFields: map[string]any{"fd.name": strings.Repeat("x", 200)},
		Riposte:      &alert.Riposte{Schema: alert.Schema, Cluster: "c", Node: "n", BootID: "b", Seq: uint64(seq)},
	}
}

// open starts an Outbox; the returned function ends it.
func open(t *testing.T, opt publish.OutboxOptions) (*publish.Outbox, func()) {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	if opt.DrainTimeout == 0 {
		opt.DrainTimeout = 50 * time.Millisecond
	}
	o, err := publish.OpenOutbox(opt)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-ended)
		})
	}
	t.Cleanup(stop)
	return o, stop
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	require.NoError(t, err)
	return names
}

func TestAnAlertGoesOutOnceAndLeavesNothing(t *testing.T) {
	b, dir := newBus(), t.TempDir()
	o, stop := open(t, publish.OutboxOptions{Bus: b, Dir: dir})
	for i := 1; i <= 1000; i++ {
		require.NoError(t, o.Put(makeAlert(i, alert.Critical)))
	}
	got := b.wait(t, 1000)
	require.Equal(t, "n/b/1", got[0])
	require.Equal(t, "n/b/1000", got[999], "alerts of one priority keep their order")
	stop()
	require.Empty(t, segments(t, dir))
	require.Empty(t, o.Lost())
}

func TestWhileTheBusIsAwayAlertsWaitMostSevereFirst(t *testing.T) {
	b := newBus()
	b.setAway(errors.New("away"))
	dir := t.TempDir()
	o, _ := open(t, publish.OutboxOptions{Bus: b, Dir: dir})
	for i := 1; i <= 30; i++ {
		require.NoError(t, o.Put(makeAlert(i, alert.Notice)))
	}
	require.NoError(t, o.Put(makeAlert(31, alert.Critical)))
	// The event loop does not wait for the disk, so the test does.
	require.Eventually(t, func() bool { return len(segments(t, dir)) == 2 }, 10*time.Second, time.Millisecond)
	b.setAway(nil)
	got := b.wait(t, 31)
	require.Equal(t, "n/b/31", got[0])
	require.Equal(t, "n/b/1", got[1])
	require.Empty(t, o.Lost())
}

func TestWithoutAnAcknowledgementAnAlertIsSentAgain(t *testing.T) {
	b := newBus()
	fails := 2
	b.answer = func(string) error {
		if fails--; fails >= 0 {
			return errors.New("no stream")
		}
		return nil
	}
	o, _ := open(t, publish.OutboxOptions{Bus: b})
	require.NoError(t, o.Put(makeAlert(1, alert.Critical)))
	require.Equal(t, []string{"n/b/1", "n/b/1", "n/b/1"}, b.wait(t, 3))
}

func TestUnacknowledgedAlertsOutliveTheProcess(t *testing.T) {
	b, dir := newBus(), t.TempDir()
	b.answer = nil
	o, stop := open(t, publish.OutboxOptions{Bus: b, Dir: dir})
	for i := 1; i <= 10; i++ {
		require.NoError(t, o.Put(makeAlert(i, alert.Warning)))
	}
	b.wait(t, 10)
	b.mu.Lock()
	for _, done := range b.held[:4] {
		done(nil)
	}
	b.mu.Unlock()
	stop()

	again := newBus()
	_, stop = open(t, publish.OutboxOptions{Bus: again, Dir: dir})
	require.Equal(t, []string{"n/b/5", "n/b/6", "n/b/7", "n/b/8", "n/b/9", "n/b/10"}, again.wait(t, 6))
	stop()
	require.Empty(t, segments(t, dir))
}

func TestTheQueueNeverBlocksTheEventLoop(t *testing.T) {
	b := newBus()
	o, err := publish.OpenOutbox(publish.OutboxOptions{Bus: b, Dir: t.TempDir(), QueueBytes: 10 << 10})
	require.NoError(t, err)
	defer o.Close()
	for i := 1; i <= 1000; i++ { // nobody runs it
		require.NoError(t, o.Put(makeAlert(i, alert.Critical)))
	}
	require.Greater(t, o.Lost()["publish_queue_full"], uint64(900))
}

func TestAnAlertOverTheLimitIsAnError(t *testing.T) {
	o, _ := open(t, publish.OutboxOptions{Bus: newBus()})
	a := makeAlert(1, alert.Critical)
	a.Output = strings.Repeat("x", alert.MaxBytes)
	require.ErrorContains(t, o.Put(a), "more than the limit of 262144")
	require.Equal(t, uint64(1), o.Lost()["alert_too_large"])
}

func BenchmarkOutbox(b *testing.B) {
	bus := newBus()
	arrived := make(chan string, b.N+1)
	bus.arrived = arrived
	o, err := publish.OpenOutbox(publish.OutboxOptions{Bus: bus, Dir: b.TempDir()})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	a := makeAlert(1, alert.Critical)
	for b.Loop() {
		if err := o.Put(a); err != nil {
			b.Fatal(err)
		}
		<-arrived
	}
	cancel()
	require.NoError(b, <-ended)
}
