package playbooks_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/playbooks"
)

func TestSchemasAreWhole(t *testing.T) {
	for _, name := range []string{"input", "guard"} {
		b, err := playbooks.Schema(name)
		require.NoError(t, err)
		require.True(t, json.Valid(b))
		require.NotContains(t, string(b), "$ref")
		require.Contains(t, string(b), "kernel_time_ns")
	}
	_, err := playbooks.Schema("missing")
	require.ErrorContains(t, err, "missing.json")
}
