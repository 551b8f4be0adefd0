package contain_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/order"
)

// ledger writes what an agent that was killed would have left.
func (n *node) ledger(t *testing.T, lines ...string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(n.opt.Dir, "orders.jsonl"), []byte(strings.Join(lines, "")), 0o600))
	n.reopen(t)
}

func begun(o order.Order) string {
	return fmt.Sprintf(`{"id":%q,"expires":%q,"target":{"container_id":%q,"cgroup_id":%d,"start_ns":%d}}`+"\n",
		o.ID, o.Expires.Format(time.RFC3339Nano), o.Target.ContainerID, o.Target.CgroupID, o.Target.StartNS)
}

func TestKilledBetweenIntentAndEffect(t *testing.T) {
	s := newSandbox(t, "a", 2)
	n := newNode(t, s)
	o := kill("1", s.target())
	n.ledger(t, begun(o))
	r := n.send(t, o)
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.Equal(t, 2, r.Processes)
	require.False(t, s.populated(t))
}

func TestKilledBetweenEffectAndReceipt(t *testing.T) {
	s := newSandbox(t, "a", 0) // the effect: nobody is left
	n := newNode(t, s)
	o := kill("1", s.target())
	n.ledger(t, begun(o))
	r := n.send(t, o)
	require.Equal(t, order.Gone, r.Outcome)
	require.Contains(t, r.Message, "had begun to kill it")
	require.NotZero(t, r.VerifiedNS)
	require.True(t, n.send(t, o).Repeated)
}

func TestKilledWhileWriting(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	o := kill("1", s.target())
	whole := begun(o)
	n.ledger(t, whole[:len(whole)/2])
	r := n.send(t, o)
	require.Equal(t, order.Done, r.Outcome, "a torn intent was no intent yet: %s", r.Message)
	n.reopen(t)
	require.True(t, n.send(t, o).Repeated)
}

func TestADamagedLineDoesNotStopTheAgent(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	o := kill("1", s.target())
	n.ledger(t, "{\"nonsense\n", begun(o))
	require.Equal(t, order.Done, n.send(t, o).Outcome)
}

func TestAReceiptThatWasNotVerifiedIsCompleted(t *testing.T) {
	s := newSandbox(t, "a", 0)
	n := newNode(t, s)
	o := kill("1", s.target())
	text := strings.TrimSuffix(begun(o), "}\n") + `,"receipt":{"order_id":"1","outcome":"done","executed_ns":5,"message":"killed, but"}}` + "\n"
	n.ledger(t, begun(o), text)
	r := n.send(t, o)
	require.Equal(t, order.Done, r.Outcome)
	require.True(t, r.Repeated)
	require.Equal(t, int64(5), r.ExecutedNS)
	require.NotZero(t, r.VerifiedNS)
	require.Empty(t, r.Message)
}

func TestTheLedgerIsBounded(t *testing.T) {
	s := newSandbox(t, "a", 0)
	n := newNode(t, s)
	now := time.Now()
	var old, young strings.Builder
	for i := range 5000 {
		o := kill(fmt.Sprint("young", i), s.target())
		o.Expires = now.Add(time.Duration(i) * time.Millisecond)
		young.WriteString(begun(o))
		o.ID, o.Expires = fmt.Sprint("old", i), now.Add(-2*time.Hour)
		old.WriteString(begun(o))
	}
	n.ledger(t, old.String(), young.String())
	name := filepath.Join(n.opt.Dir, "orders.jsonl")
	lines := func() (n int) {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NotContains(t, string(b), `"old`)
		return strings.Count(string(b), "\n")
	}
	require.Equal(t, 4096, lines())
	for i := range 13000 { // each writes its receipt
		n.send(t, kill(fmt.Sprint("new", i), s.target()))
	}
	require.Less(t, lines(), 16500)
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Contains(t, string(b), `"new12999"`)
}
