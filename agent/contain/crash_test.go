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
	return fmt.Sprintf(`{"id":%q,"kind":%q,"expires":%q,"target":{"container_id":%q,"cgroup_id":%d,"start_ns":%d}}`+"\n",
		o.ID, o.Kind, o.Expires.Format(time.RFC3339Nano), o.Target.ContainerID, o.Target.CgroupID, o.Target.StartNS)
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
