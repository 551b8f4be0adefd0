package agent_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent"
	"riposte/agent/publish"
)

// TestALossIsCountedShownAndTold: a ring buffer of four pages and programs that open
// files without a pause.
func TestALossIsCountedShownAndTold(t *testing.T) {
	root := live(t)
	out := &lines{}
	a := running(t, agent.Options{
		RuleFiles: []string{rulesFile(t, `
- rule: Never
  desc: asks for opens and finds none
  condition: evt.type in (open, openat, openat2) and fd.name = /no/such/name
  output: o
  priority: NOTICE
`)},
		DataDir: t.TempDir(), RingBytes: 16 << 10, Output: out, Encoding: publish.Encoding{Format: publish.JSON, Riposte: true},
		Drops: &agent.DropPolicy{Alert: true, Rate: 1, Burst: 1}, Web: &agent.Web{Metrics: true},
	})
	for range 3 {
		newBox(t, root).run(t, "while true; do true </nonexistent; done 2>/dev/null &")
	}
	lost := func() (n uint64) {
		all := a.Lost()
		return all["shed"] + all["ring_full"]
	}
	require.Eventually(t, func() bool { return lost() > 0 }, 60*time.Second, 10*time.Millisecond)

	const rule = "Falco internal: syscall event drop"
	var told string
	require.Eventually(t, func() bool {
		out.mu.Lock()
		defer out.mu.Unlock()
		for _, one := range out.all {
			if one.Rule == rule {
				told = fmt.Sprint(one.OutputFields["n_drops"])
				require.Equal(t, "internal", one.Source)
				require.Contains(t, one.OutputFields, "riposte.lost.shed")
			}
		}
		return told != ""
	}, 60*time.Second, 10*time.Millisecond, "the alert about the loss")
	n, err := strconv.ParseFloat(told, 64)
	require.NoError(t, err)
	require.Positive(t, n)

	figure := figures(t, a)
	shed := figure(`riposte_agent_lost_total{place="shed"}`)
	require.Positive(t, shed+figure(`riposte_agent_lost_total{place="ring_full"}`))
	require.Equal(t, shed, figure(`falcosecurity_scap_n_drops_buffer_total{drop="other",dir="exit"}`)) //nolint:testifylint // counts
	require.GreaterOrEqual(t, figure(`falcosecurity_scap_n_drops_total`), n)
	require.Greater(t, figure(`falcosecurity_scap_n_evts_total`), figure(`falcosecurity_falco_n_evts_total`))
	require.Positive(t, figure(`riposte_agent_table_size{table="processes"}`))
	require.Positive(t, figure(`riposte_agent_heap_bytes`))
}
