package publish_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/publish"
)

func TestAFullSpoolGivesUpTheLeastSevereAndOldest(t *testing.T) {
	b, dir := newBus(), t.TempDir()
	b.setAway(errors.New("away"))
	const limit = 256 << 10
	o, stop := open(t, publish.OutboxOptions{Bus: b, Dir: dir, MaxBytes: limit})
	for i := 1; i <= 100; i++ {
		require.NoError(t, o.Put(makeAlert(i, alert.Critical)))
	}
	for i := 101; i <= 3000; i++ {
		require.NoError(t, o.Put(makeAlert(i, alert.Debug)))
	}
	require.Eventually(t, func() bool { return o.Lost()["spool_full"] > 1000 }, 10*time.Second, time.Millisecond)
	stop()
	var size int64
	for _, name := range segments(t, dir) {
		info, err := os.Stat(name)
		require.NoError(t, err)
		size += info.Size()
	}
	require.LessOrEqual(t, size, int64(limit))

	again := newBus()
	o2, _ := open(t, publish.OutboxOptions{Bus: again, Dir: dir, MaxBytes: limit})
	left := 3000 - int(o.Lost()["spool_full"])
	got := again.wait(t, left)
	require.Equal(t, "n/b/1", got[0], "no Critical alert was given up")
	require.Equal(t, "n/b/100", got[99])
	require.Equal(t, "n/b/3000", got[len(got)-1], "the newest of the least severe are kept")
	require.Empty(t, o2.Lost())
}

func TestAFullSpoolOfSevereAlertsTakesNoLesserOne(t *testing.T) {
	b := newBus()
	b.setAway(errors.New("away"))
	o, _ := open(t, publish.OutboxOptions{Bus: b, MaxBytes: 64 << 10})
	for i := 1; i <= 1000; i++ {
		require.NoError(t, o.Put(makeAlert(i, alert.Critical)))
	}
	idle := func() bool { return o.Queued() == 0 }
	require.Eventually(t, idle, 10*time.Second, time.Millisecond)
	severe := 1000 - int(o.Lost()["spool_full"])
	for i := range 500 {
		require.NoError(t, o.Put(makeAlert(2000+i, alert.Debug)))
	}
	require.Eventually(t, idle, 10*time.Second, time.Millisecond)
	lesser := 1500 - int(o.Lost()["spool_full"]) - severe
	require.Less(t, lesser, 20, "only as many as fit into what was left")
	b.setAway(nil)
	got := b.wait(t, severe+lesser)
	require.Equal(t, "n/b/1000", got[severe-1], "no severe alert made room for a lesser one")
}

func TestTwoAgentsCannotShareASpool(t *testing.T) {
	dir := t.TempDir()
	_, stop := open(t, publish.OutboxOptions{Bus: newBus(), Dir: dir})
	_, err := publish.OpenOutbox(publish.OutboxOptions{Bus: newBus(), Dir: dir})
	require.ErrorContains(t, err, "in use by another agent")
	stop()
	o, err := publish.OpenOutbox(publish.OutboxOptions{Bus: newBus(), Dir: dir})
	require.NoError(t, err)
	require.NoError(t, o.Close())
}

func TestAlertsOfAnotherNameAreGivenUp(t *testing.T) {
	b, dir := newBus(), t.TempDir()
	b.setAway(errors.New("away"))
	o, stop := open(t, publish.OutboxOptions{Bus: b, Dir: dir})
	for i, name := range []string{"n", "old", "n.x"} {
		a := makeAlert(i+1, alert.Critical)
		a.Riposte.Node = name
		require.NoError(t, o.Put(a))
	}
	stop()
	again := newBus()
	o, stop = open(t, publish.OutboxOptions{Bus: again, Dir: dir, Cluster: "c", Node: "n"})
	require.Equal(t, []string{"n/b/1"}, again.wait(t, 1))
	require.Equal(t, uint64(2), o.Lost()["spool_foreign"])
	stop()
	require.Empty(t, segments(t, dir))
}

func TestAForeignFileInTheSpoolIsNamed(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "what.seg")
	require.NoError(t, os.WriteFile(name, nil, 0o600))
	_, err := publish.OpenOutbox(publish.OutboxOptions{Bus: newBus(), Dir: dir})
	require.ErrorContains(t, err, name)
}

func TestDamageCostsOnlyWhatStandsBehindItInItsFile(t *testing.T) {
	for _, damage := range []struct {
		name string
		do   func(b []byte) []byte
		left int
	}{
		{"torn record", func(b []byte) []byte { return b[:len(b)-7] }, 9},
		{"torn head", func(b []byte) []byte { return append(b, 'p', 0, 0) }, 10},
		{"flipped bit", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, 5},
		{"absurd length", func(b []byte) []byte { return append(b, 'p', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0) }, 10},
		{"nothing left", func([]byte) []byte { return nil }, 0},
	} {
		t.Run(damage.name, func(t *testing.T) {
			b, dir := newBus(), t.TempDir()
			b.setAway(errors.New("away"))
			o, stop := open(t, publish.OutboxOptions{Bus: b, Dir: dir})
			for i := 1; i <= 10; i++ {
				require.NoError(t, o.Put(makeAlert(i, alert.Error)))
			}
			stop()
			names := segments(t, dir)
			require.Len(t, names, 1)
			content, err := os.ReadFile(names[0])
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(names[0], damage.do(content), 0o600))

			again := newBus()
			o, stop = open(t, publish.OutboxOptions{Bus: again, Dir: dir})
			again.wait(t, damage.left)
			require.NoError(t, o.Put(makeAlert(11, alert.Error)))
			require.Equal(t, []string{"n/b/11"}, again.wait(t, 1), "and not more than what is whole")
			stop()
			require.Empty(t, segments(t, dir))
		})
	}
}

func TestABrokenDiskDoesNotStopAlerts(t *testing.T) {
	b, dir := newBus(), t.TempDir()
	o, _ := open(t, publish.OutboxOptions{Bus: b, Dir: dir})
	require.NoError(t, os.RemoveAll(dir))
	for i := 1; i <= 3; i++ {
		require.NoError(t, o.Put(makeAlert(i, alert.Critical)))
	}
	b.wait(t, 3)
	require.Empty(t, o.Lost())
	b.setAway(errors.New("away"))
	require.NoError(t, o.Put(makeAlert(4, alert.Critical)))
	require.Eventually(t, func() bool { return o.Lost()["spool_unsaved"] == 1 }, 10*time.Second, time.Millisecond)
}
