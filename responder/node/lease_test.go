package node_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/action/cutnetwork"
	"riposte/responder/action/freezecontainer"
	"riposte/responder/node"
)

// What an agent holds says for how long, so that it can be renewed in time.
func TestLease(t *testing.T) {
	for name, a := range map[string]action.Action{"freeze": freezecontainer.New(nil), "cut": cutnetwork.New(nil)} {
		t.Run(name, func(t *testing.T) {
			l, ok := a.(action.Leaser)
			require.True(t, ok)
			for params, want := range map[string]time.Duration{`{}`: node.DefaultLease, `{"lease": "30m"}`: 30 * time.Minute} {
				got, err := l.Lease(json.RawMessage(params))
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			_, err := l.Lease(json.RawMessage(`{"lease": "1s"}`))
			require.ErrorContains(t, err, "params.lease")
		})
	}
}
