package publish_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/agent/alert"
	"riposte/agent/publish"
)

// said joins what a bus was told of losses: how often each number of run b.
func said(t *testing.T, b *memoryBus) (all []alert.LossRange) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, body := range b.bodies {
		var l alert.Loss
		require.NoError(t, json.Unmarshal(body, &l))
		require.NoError(t, l.Validate())
		require.Equal(t, []string{"c", "n", "b"}, []string{l.Cluster, l.Node, l.BootID})
		all = append(all, l.Ranges...)
	}
	return all
}

func count(all []alert.LossRange) (n int) {
	for _, r := range all {
		n += int(r.Count)
	}
	return n
}

// Every number is either sent or announced as dropped, each once.
func TestWhatIsDroppedIsAnnounced(t *testing.T) {
	b := newBus()
	b.setAway(errors.New("away"))
	o, _ := open(t, publish.OutboxOptions{Bus: b, MaxBytes: 256 << 10, Cluster: "c", Node: "n"})
	const all = 3000
	for i := 1; i <= all; i++ {
		require.NoError(t, o.Put(makeAlert(i, alert.Priority(i%8))))
	}
	large := makeAlert(all+1, alert.Critical)
	large.Output = strings.Repeat("x", alert.MaxBytes)
	require.Error(t, o.Put(large))
	odd := makeAlert(all+2, alert.Critical)
	odd.OutputFields["x"] = math.NaN()
	require.Error(t, o.Put(odd))
	require.Eventually(t, func() bool { return o.Queued() == 0 }, time.Minute, time.Millisecond)
	require.Positive(t, o.Waiting())
	b.setAway(nil)
	require.Eventually(t, func() bool { return o.Waiting() == 0 }, time.Minute, time.Millisecond)
	lost := said(t, b)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Equal(t, all+2, count(lost)+len(b.got)-len(b.bodies))
	require.EqualValues(t, count(lost), o.Lost()["spool_full"]+o.Lost()["alert_too_large"]+o.Lost()["alert_unencodable"])
	came := map[string]bool{}
	for _, id := range b.got {
		came[id] = true
	}
	for i := 1; i <= all+2; i++ {
		covered := false
		for _, r := range lost {
			covered = covered || uint64(i) >= r.First && uint64(i) <= r.Last
		}
		require.True(t, covered || came[fmt.Sprintf("n/b/%d", i)], "alert %d is neither sent nor announced", i)
	}
}

// An announcement that was not acknowledged outlives the process.
func TestLossesOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	b := newBus()
	b.setAway(errors.New("away"))
	o, stop := open(t, publish.OutboxOptions{Bus: b, Dir: dir, Cluster: "c", Node: "n"})
	large := makeAlert(7, alert.Critical)
	large.Output = strings.Repeat("x", alert.MaxBytes)
	require.Error(t, o.Put(large))
	stop()
	file, err := os.ReadFile(filepath.Join(dir, "losses"))
	require.NoError(t, err)

	// A node of another name keeps quiet about it.
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "losses"), file, 0o600))
	o, _ = open(t, publish.OutboxOptions{Bus: newBus(), Dir: other, Cluster: "c", Node: "other"})
	require.Zero(t, o.Waiting())

	again := newBus()
	o, stop = open(t, publish.OutboxOptions{Bus: again, Dir: dir, Cluster: "c", Node: "n"})
	again.wait(t, 1)
	require.Equal(t, []alert.LossRange{{First: 7, Last: 7, Count: 1, Reason: "alert_too_large"}}, said(t, again))
	require.Eventually(t, func() bool { return o.Waiting() == 0 }, 10*time.Second, time.Millisecond)
	stop()
	require.NoFileExists(t, filepath.Join(dir, "losses"))
}

func TestADamagedFileOfLossesIsNoReasonToStop(t *testing.T) {
	for _, content := range []string{"", "{", `{"cluster":"c","node":"n","runs":{"b":null,"c":{"waiting":[{"first":9,"last":1,"count":1}]}}}`, "\x00"} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "losses"), []byte(content), 0o600))
		b := newBus()
		o, _ := open(t, publish.OutboxOptions{Bus: b, Dir: dir, Cluster: "c", Node: "n"})
		require.NoError(t, o.Put(makeAlert(1, alert.Critical)))
		require.Equal(t, []string{"n/b/1"}, b.wait(t, 1))
	}
}

// A real full disk, not the spool's own limit: what is least severe makes room.
func TestAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	b := newBus()
	b.setAway(errors.New("away"))
	o, stop := open(t, publish.OutboxOptions{Bus: b, Dir: dir, MaxBytes: 4 << 20, Cluster: "c", Node: "n"})
	const lesser, severe = 800, 200
	for i := 1; i <= lesser; i++ {
		require.NoError(t, o.Put(makeAlert(i, alert.Debug)))
	}
	require.Eventually(t, func() bool { return o.Queued() == 0 }, time.Minute, time.Millisecond)
	require.Positive(t, o.Lost()["spool_full"])
	for i := 1; i <= severe; i++ {
		require.NoError(t, o.Put(makeAlert(lesser+i, alert.Critical)))
	}
	require.Eventually(t, func() bool { return o.Queued() == 0 }, time.Minute, time.Millisecond)
	require.Zero(t, o.Lost()["spool_unsaved"])
	stop()

	again := newBus()
	o2, _ := open(t, publish.OutboxOptions{Bus: again, Dir: dir, MaxBytes: 4 << 20, Cluster: "c", Node: "n"})
	left := lesser + severe - int(o.Lost()["spool_full"])
	for i, id := range again.wait(t, left)[:severe] {
		require.Equal(t, fmt.Sprintf("n/b/%d", lesser+1+i), id, "no severe alert was given up")
	}
	require.Eventually(t, func() bool { return o2.Waiting() == 0 }, time.Minute, time.Millisecond)
	require.EqualValues(t, o.Lost()["spool_full"], count(said(t, again)), "and what was is announced")
	require.NoError(t, o2.Put(makeAlert(lesser+severe+1, alert.Error)))
	again.wait(t, 1)
}

// A backlog goes in batches; what the bus refuses as a batch goes one by one.
func TestABacklogGoesInBatches(t *testing.T) {
	b := newBus()
	b.batched = true
	b.setAway(errors.New("away"))
	o, _ := open(t, publish.OutboxOptions{Bus: b})
	for i := 1; i <= 300; i++ {
		require.NoError(t, o.Put(makeAlert(i, alert.Error)))
	}
	require.Eventually(t, func() bool { return o.Queued() == 0 }, time.Minute, time.Millisecond)
	refusals := 1
	b.answer = func(string) error {
		if refusals--; refusals >= 0 {
			return fmt.Errorf("duplicate: %w", publish.ErrBatch)
		}
		return nil
	}
	b.setAway(nil)
	got := map[string]int{}
	for _, id := range b.wait(t, 300) {
		got[id]++
	}
	require.Len(t, got, 300)
	require.Eventually(t, func() bool { return o.Waiting() == 0 }, time.Minute, time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Len(t, b.batches[0], 64)
	require.Len(t, b.got, 64, "the refused ones, alone")
	require.Less(t, len(b.batches), 20)
}
