package campaign

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fault is one thing that goes wrong.
type fault struct {
	// At is when, after the campaign's begin, and For how long.
	At, For time.Duration
	// Kind is kill or pause, of a part, or cut, mute, slow or half, of a link.
	Kind, What string
}

func (f fault) String() string {
	return fmt.Sprintf("%6.2fs %s %s for %s", f.At.Seconds(), f.Kind, f.What, f.For)
}

var (
	parts = []string{"responder-1", "responder-2", "agent-1", "agent-2", "nats", "postgres"}
	links = []string{
		"responder-1/nats", "responder-2/nats", "agent-1/nats", "agent-2/nats", "responder-1/postgres", "responder-2/postgres",
		"responder-1/kube", "responder-2/kube",
	}
)

// longPause is more than an executor's lease: another one takes its action meanwhile.
const longPause = 25 * time.Second

// plan is what goes wrong in a campaign of that length: the same for the same seed.
// Each kind of fault of each part comes once before one comes twice.
func plan(seed uint64, length time.Duration) (all []fault) {
	r := rand.New(rand.NewPCG(seed, 1))
	// As many faults as there are kinds in half a minute: the short campaign has each.
	deck := kinds()
	every := 30 * time.Second / time.Duration(len(deck))
	var left []fault
	for at := between(r, 0, every); at < length; at += between(r, every/4, every*7/4) {
		if len(left) == 0 {
			left = slices.Clone(deck)
			r.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		}
		f := left[0]
		left = left[1:]
		f.At, f.For = at, between(r, 100*time.Millisecond, 3*time.Second)
		if f.Kind == "pause" && length > 2*time.Minute && r.IntN(4) == 0 {
			f.For = longPause
		}
		all = append(all, f)
	}
	return all
}

func kinds() (all []fault) {
	for _, p := range parts {
		all = append(all, fault{Kind: "kill", What: p}, fault{Kind: "pause", What: p})
	}
	for _, l := range links {
		for _, kind := range []string{"cut", "mute", "slow", "half"} {
			all = append(all, fault{Kind: kind, What: l})
		}
	}
	return all
}

func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return (from + time.Duration(r.Int64N(int64(to-from)))).Round(time.Millisecond)
}

func TestASeedMakesOnePlan(t *testing.T) {
	again := plan(7, time.Minute)
	require.Equal(t, plan(7, time.Minute), again)
	require.NotEqual(t, plan(7, time.Minute), plan(8, time.Minute))
	seen := map[string]bool{}
	for _, f := range plan(7, 40*time.Second) {
		seen[f.Kind+f.What] = true
		require.LessOrEqual(t, f.For, 3*time.Second)
	}
	require.Len(t, seen, len(kinds()), "the short campaign has every kind of fault")
}
