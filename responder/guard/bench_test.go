package guard_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/responder/guard"
	"riposte/responder/store"
)

// The guard's whole verdict about actions: judged, counted and reserved in a
// transaction, with 30 earlier ones in every budget, as the defaults allow, or 300.
func BenchmarkReserve(b *testing.B) {
	for name, tt := range map[string]struct{ batch, before int }{"one": {1, 30}, "one, full": {1, 300}, "64, full": {64, 300}} {
		b.Run(name, func(b *testing.B) {
			batch := tt.batch
			d := full(b, tt.before)
			var questions []guard.Question
			for i := range batch {
				questions = append(questions, about(1000+i))
			}
			var effects []guard.Proposed
			require.NoError(b, d.store.InTx(b.Context(), func(tx store.Tx) error {
				for _, q := range questions {
					e := *d.Judge(b.Context(), q).Effect
					e.ActionID = uuid.Must(uuid.NewV7()).String()
					if err := plan(b.Context(), tx, e.ActionID, "planned", q); err != nil {
						return err
					}
					effects = append(effects, guard.Proposed{Effect: &e})
				}
				return nil
			}))
			b.ResetTimer()
			for b.Loop() {
				err := d.store.InTx(b.Context(), func(tx store.Tx) error {
					for _, q := range questions {
						d.Judge(b.Context(), q)
					}
					r, err := d.Reserve(b.Context(), tx, effects)
					if err == nil && r.Verdicts[batch-1].Outcome != guard.Allow {
						b.Fatal(r.Verdicts[batch-1])
					}
					if err == nil {
						err = errAbandoned // so that the next turn finds the same
					}
					return err
				})
				require.ErrorIs(b, err, errAbandoned)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/action")
		})
	}
}

// The last look before an effect.
func BenchmarkRelease(b *testing.B) {
	d := full(b, 30)
	o := d.one(about(1000))
	for b.Loop() {
		if v := d.release(o.ID, about(1000)); v.Outcome != guard.Allow {
			b.Fatal(v)
		}
	}
}

// full has so many reservations in every budget.
func full(b *testing.B, before int) *desk {
	d := newDesk(b, limits(func(l *guard.Limits) { l.LoopWindow = 30 * time.Minute }))
	d.cluster.set(10_000, nil)
	for i := range before / 10 {
		var ten []guard.Question
		for j := range 10 {
			ten = append(ten, about(10*i+j))
		}
		d.ask(ten...)
	}
	d.exec(`ANALYZE`)
	return d
}
