package contain

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/order"
)

func TestTheLedgerIsBounded(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	clock := func() time.Time { return now }
	open := func() *ledger {
		l, err := openLedger(dir, clock, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		return l
	}
	lines := func() int {
		b, err := os.ReadFile(filepath.Join(dir, "orders.jsonl"))
		require.NoError(t, err)
		return strings.Count(string(b), "\n")
	}
	add := func(l *ledger, id string, expires time.Time) {
		require.NoError(t, l.add(line{ID: id, Expires: expires, Target: order.Target{ContainerID: "c"}}))
	}
	l := open()
	for i := range 100 {
		add(l, fmt.Sprint("old", i), now.Add(-keep))
	}
	most := 0
	for i := range maxLines + 2000 {
		add(l, fmt.Sprint("new", i), now.Add(time.Duration(i)))
		if i%4000 == 0 {
			most = max(most, lines())
		}
	}
	require.LessOrEqual(t, most, maxLines)
	require.LessOrEqual(t, len(l.orders), maxLines)
	require.NoError(t, l.close())

	l = open()
	require.Len(t, l.orders, maxOrders)
	require.Equal(t, maxOrders, lines())
	require.Contains(t, l.orders, fmt.Sprint("new", maxLines+2000-1), "those that expire last are kept")
	require.NoError(t, l.close())

	now = now.Add(2 * keep)
	l = open()
	require.Empty(t, l.orders)
	require.Zero(t, lines())
	require.NoError(t, l.close())
}
