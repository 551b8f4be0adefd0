package store_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/store"
	"riposte/responder/store/recordtest"
	"riposte/responder/store/storetest"
)

// BenchmarkQuestions asks each documented question about many different things and
// tells how long 50 and 95 in 100 took at most. RIPOSTE_BENCH_ENTRIES says how long the
// record is; `make bench-audit` takes ten million.
func BenchmarkQuestions(b *testing.B) {
	entries := 100_000
	if v := os.Getenv("RIPOSTE_BENCH_ENTRIES"); v != "" {
		var err error
		entries, err = strconv.Atoi(v)
		require.NoError(b, err)
	}
	r := recordtest.Fill(b, storetest.New(b), entries)
	b.Logf("%d entries, %d alerts", r.Entries, r.Episodes())
	for _, q := range questions() {
		b.Run(q.name, func(b *testing.B) {
			measure(b, func(i int) { ask(b, r, q, i%r.Episodes()) })
		})
	}
	for _, c := range countings() {
		b.Run(c.name, func(b *testing.B) {
			measure(b, func(int) {
				_, err := r.Store.Counts(b.Context(), store.Everything(), c.filter(r), c.by)
				require.NoError(b, err)
			})
		})
	}
}

func measure(b *testing.B, ask func(i int)) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same questions in each run
	var took []time.Duration
	for b.Loop() {
		i := random.IntN(1 << 30)
		start := time.Now()
		ask(i)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	for _, p := range []int{50, 95} {
		b.ReportMetric(float64(took[(len(took)-1)*p/100].Microseconds())/1000, "p"+strconv.Itoa(p)+"-ms")
	}
	b.ReportMetric(0, "ns/op") // the mean says less
}
