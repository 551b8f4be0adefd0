package publish

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
)

// Whatever is lost in whatever order: the ranges stay few and sorted, cover every
// lost number, and their counts are the number of lost ones.
func TestRangesStayFewAndTrue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	reasons := []string{"a", "b"}
	for _, spread := range []int{50, 1000, 100_000} {
		var all []alert.LossRange
		lost := map[uint64]bool{}
		for range 5000 {
			n := uint64(r.IntN(spread)) + 1
			if lost[n] {
				continue
			}
			lost[n] = true
			all = insert(all, alert.LossRange{First: n, Last: n, Count: 1, Reason: reasons[r.IntN(2)]})
		}
		require.LessOrEqual(t, len(all), alert.MaxLossRanges)
		count, covered := 0, 0
		for i, x := range all {
			count += int(x.Count)
			require.LessOrEqual(t, x.Count, x.Last-x.First+1)
			require.True(t, i == 0 || all[i-1].Last < x.First, "%v", all[max(0, i-1):i+1])
			for n := x.First; n <= x.Last; n++ {
				if lost[n] {
					covered++
				}
			}
		}
		require.Equal(t, len(lost), covered)
		require.Equal(t, len(lost), count)
	}
}

func TestRunOf(t *testing.T) {
	for id, want := range map[string]struct {
		run string
		seq uint64
	}{"n/b/7": {"b", 7}, "a/strange/node/b/7": {"b", 7}, "n/b/x": {}, "": {}, "7": {}, "/": {}} {
		run, seq := runOf(id)
		require.Equal(t, want.run, run, id)
		require.Equal(t, want.seq, seq, id)
	}
}
