package command

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
)

func TestAgentState(t *testing.T) {
	for want, a := range map[string]api.Agent{
		"well":   {Lost: map[string]uint64{"exec_env_cut": 10, "ring_full": 0}},
		"losing": {Lost: map[string]uint64{"exec_env_cut": 10, "ring_full": 1}},
		"silent": {Silent: true, Lost: map[string]uint64{"ring_full": 1}},
	} {
		require.Equal(t, want, agentState(a))
	}
}
