package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone"
	"riposte/deploy/standalone/sandbox"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

// TestTheKillSwitchStopsEffects leaves the container alive, with the refusal on
// record, and kills the next one when the switch is off again.
func TestTheKillSwitchStopsEffects(t *testing.T) {
	s := start(t, nil)
	ctx := t.Context()
	_, err := s.Client().SetKillSwitch(ctx, api.KillSwitch{On: true, Reason: "a test"})
	require.NoError(t, err)

	box, err := sandbox.Start(sandbox.Options{Root: cgroupRoot(t), Cgroup: sandbox.Drills})
	require.NoError(t, err)
	defer func() { require.NoError(t, box.Close()) }()
	require.NoError(t, box.Type(standalone.Attack))
	var refused api.Action
	require.Eventually(t, func() bool {
		actions, err := s.Client().Actions(ctx, client.ActionFilter{Container: box.ID})
		if err != nil || len(actions.Items) == 0 {
			return false
		}
		refused = actions.Items[0]
		return true
	}, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, "refused", refused.State)
	require.Equal(t, "kill-switch", refused.RefusedBy)
	n, err := box.Processes()
	require.NoError(t, err)
	require.Equal(t, 1, n, "the container lives")

	_, err = s.Client().SetKillSwitch(ctx, api.KillSwitch{On: false, Reason: "done"})
	require.NoError(t, err)
	require.True(t, drill(t, s).Verified)
}
