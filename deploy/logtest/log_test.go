package logtest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/deploy/logtest"
)

func TestAwait(t *testing.T) {
	var log logtest.Log
	require.False(t, log.Has("50"))
	go func() {
		for i := range 100 {
			fmt.Fprintln(&log, i)
		}
	}()
	log.Await(t, "50\n51\n")
	require.True(t, log.Has("50\n"))
	log.Await(t, "99")
	require.Contains(t, log.String(), "0\n1\n2\n")
}
