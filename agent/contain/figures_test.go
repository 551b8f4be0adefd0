package contain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/order"
)

func TestFigures(t *testing.T) {
	s := newSandbox(t, "a", 1)
	n := newNode(t, s)
	f := n.Figures()
	require.Equal(t, map[order.Kind]int{order.Freeze: 0, order.Cut: 0}, f.Holds)
	require.Zero(t, f.Serial)
	require.Empty(t, f.Orders)

	require.NoError(t, n.stand(t, standing(7, onShell(order.Freeze))))
	require.NotNil(t, n.Immediate(s.Container, shell))
	n.Handle(t.Context(), []byte("no order"))
	require.NoError(t, n.turn(t, 3, true))
	f = n.Figures()
	require.Equal(t, 1, f.Holds[order.Freeze])
	require.Equal(t, map[order.Outcome]uint64{order.Refused: 1}, f.Orders)
	require.Equal(t, uint64(7), f.Serial)
	require.Equal(t, 1, f.Triggers)
	require.True(t, f.Expires.After(time.Now()))
	require.True(t, f.SwitchOn)
	require.Equal(t, uint64(3), f.SwitchSerial)
}
