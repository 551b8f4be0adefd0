package publish_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/publish"
)

// childDir tells this test binary to be the process that is killed.
const childDir = "RIPOSTE_TEST_SPOOL"

// childBytes bounds that process's spool.
const childBytes = "RIPOSTE_TEST_SPOOL_BYTES"

// saved is how many alerts the child writes before it says so.
const saved = 500

// child puts alerts into a spool whose bus is away and says on its standard output
// how many it has put, until it is killed.
func child(dir string) {
	b := newBus()
	b.away = errors.New("away")
	limit, _ := strconv.ParseInt(os.Getenv(childBytes), 10, 64)
	o, err := publish.OpenOutbox(publish.OutboxOptions{Bus: b, Dir: dir, Cluster: "c", Node: "n", MaxBytes: limit})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go o.Run(context.Background())
	for i := 1; ; i++ {
		if err := o.Put(makeAlert(i, alert.Priority(i%8))); err != nil {
			os.Exit(1)
		}
		for o.Queued() > 0 { // only what has left the queue counts as saved
			time.Sleep(time.Microsecond)
		}
		fmt.Println(i)
	}
}

// killChild has a child put alerts, kills it and returns how many were saved.
func killChild(t *testing.T, dir, bytes string) (last int) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childDir+"="+dir, childBytes+"="+bytes)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	lines := bufio.NewScanner(out)
	for last < saved && lines.Scan() {
		last, err = strconv.Atoi(lines.Text())
		require.NoError(t, err)
	}
	require.NoError(t, c.Process.Kill())
	// The child went on until the signal came: read what it still said.
	for lines.Scan() {
		if n, err := strconv.Atoi(strings.TrimSpace(lines.Text())); err == nil {
			last = n
		}
	}
	require.Error(t, c.Wait())
	require.GreaterOrEqual(t, last, saved)
	return last
}

func TestTheSpoolSurvivesSIGKILL(t *testing.T) {
	dir := t.TempDir()
	last := killChild(t, dir, "")

	b := newBus()
	_, stop := open(t, publish.OutboxOptions{Bus: b, Dir: dir})
	got := map[string]bool{}
	// One more than the child said may be saved, and may come before these.
	for i := 1; i <= last; i++ {
		for !got[fmt.Sprintf("n/b/%d", i)] {
			id := b.wait(t, 1)[0]
			require.False(t, got[id], "%s came twice", id)
			got[id] = true
		}
	}
	stop()
	require.Empty(t, segments(t, dir))
}

// What a spool dropped for space is announced by the next process, whenever it was killed.
func TestWhatAKilledProcessDroppedIsAnnounced(t *testing.T) {
	dir := t.TempDir()
	last := killChild(t, dir, "65536")
	b := newBus()
	o, stop := open(t, publish.OutboxOptions{Bus: b, Dir: dir, Cluster: "c", Node: "n", MaxBytes: 65536})
	require.Eventually(t, func() bool { return o.Waiting() == 0 }, time.Minute, time.Millisecond)
	stop()
	known := map[int]bool{}
	for _, r := range said(t, b) {
		for n := r.First; n <= r.Last; n++ {
			known[int(n)] = true
		}
	}
	require.NotEmpty(t, known, "the spool was too small for all")
	for i := 1; i <= last; i++ {
		require.True(t, known[i] || slices.Contains(b.got, fmt.Sprintf("n/b/%d", i)), "%d of %d", i, last)
	}
}
