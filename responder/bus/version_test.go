package bus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Servers before 2.12 are asked for a stream without atomic batches.
func TestOldServer(t *testing.T) {
	for version, old := range map[string]bool{"2.11.9": true, "2.9.25-beta.1": true, "1.4.1": true, "2.12.0": false, "2.15.2": false, "3.0.0": false, "": false, "x": false} {
		require.Equal(t, old, oldServer(version), version)
	}
}
