package replay_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/client"
	"riposte/responder/playbook/replay"
)

// BenchmarkReplay replays a hundred thousand decisions of seven playbooks: real lines
// of the export, over and over.
func BenchmarkReplay(b *testing.B) {
	dir := folder(b, nil)
	from := newBench(b, load(b, dir))
	from.take(3000)
	var lines [][]byte
	var bytes int64
	for line, err := range from.export(client.DecisionFilter{}) {
		require.NoError(b, err)
		lines = append(lines, line)
		bytes += int64(len(line))
	}
	const decisions = 100_000
	rounds := decisions/int(from.count("SELECT count(*) FROM decisions")) + 1
	set := load(b, dir)
	b.SetBytes(bytes * int64(rounds))
	b.ResetTimer()
	began := cpu(b)
	defer func() { b.ReportMetric((cpu(b)-began).Seconds()/float64(b.N), "cpu-s/op") }()
	for range b.N {
		r, err := replay.Run(b.Context(), func(yield func([]byte, error) bool) {
			for range rounds {
				for _, l := range lines {
					if !yield(l, nil) {
						return
					}
				}
			}
		}, replay.Options{Set: set, Actions: registry})
		require.NoError(b, err)
		require.GreaterOrEqual(b, r.Decisions, int64(decisions))
		require.Zero(b, r.Added+r.Removed+r.Changed)
		b.ReportMetric(float64(r.Decisions)/r.Took.Seconds(), "decisions/s")
	}
}

// cpu is what this process has used of the processors: other work on the machine
// makes no difference to it.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
