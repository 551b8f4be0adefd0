package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

func drill(t *testing.T, s *standalone.Stack) api.Timeline {
	t.Helper()
	timeline, err := standalone.Drill(t.Context(), s.Client(), cgroupRoot(t), func(what string) { t.Log(what) })
	require.NoError(t, err)
	return timeline
}

// TestDrill is the main job: a real system call ends in a killed container and
// in a record that says why.
func TestDrill(t *testing.T) {
	s := start(t, nil)
	timeline := drill(t, s)

	require.True(t, timeline.Verified)
	require.False(t, timeline.Recorded)
	var names []string
	last := int64(-1)
	for _, stage := range timeline.Stages {
		names = append(names, stage.Name)
		require.Greater(t, stage.NS, last, "stage %s comes after the one before it", stage.Name)
		last = stage.NS
	}
	require.Equal(t, []string{"syscall", "alert", "received", "decided", "executed", "verified", "audited"}, names)
	var printed strings.Builder
	require.NoError(t, standalone.PrintTimeline(&printed, timeline))
	t.Log("\n" + printed.String())

	ctx := t.Context()
	alert, err := s.Client().Alert(ctx, timeline.Alert)
	require.NoError(t, err)
	require.Equal(t, "Critical", alert.Priority)
	require.Equal(t, timeline.ContainerID, alert.ContainerID)
	require.Contains(t, alert.Output, "/etc/shadow")

	record, err := s.Client().Audit(ctx, client.AuditFilter{Action: timeline.Action})
	require.NoError(t, err)
	var kinds []string
	for _, entry := range record.Items {
		kinds = append(kinds, entry.Kind)
	}
	require.ElementsMatch(t, []string{"action.intent", "action.result", "action.verified"}, kinds)
	verification, err := s.Client().Verify(ctx)
	require.NoError(t, err)
	require.True(t, verification.OK)
	require.Positive(t, verification.Entries)

	left, err := filepath.Glob(filepath.Join(cgroupRoot(t), "riposte-drill.slice", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestASecondStartGoesOnWithTheSameData also drills twice: the second container
// is another one and dies as well.
func TestASecondStartGoesOnWithTheSameData(t *testing.T) {
	dir := dataDir(t)
	on := func(o *standalone.Options) { o.Data = dir }
	first := start(t, on)
	before := drill(t, first)
	require.NoError(t, first.Stop())
	_, err := os.Stat(filepath.Join(dir, "endpoint.json"))
	require.ErrorIs(t, err, os.ErrNotExist, "nobody is told of a Riposte that has stopped")

	second := start(t, on)
	kept, err := second.Client().Timeline(t.Context(), before.Action)
	require.NoError(t, err)
	require.Equal(t, before, kept)
	after := drill(t, second)
	require.NotEqual(t, before.ContainerID, after.ContainerID)
	verification, err := second.Client().Verify(t.Context())
	require.NoError(t, err)
	require.True(t, verification.OK)
}

func TestTwoOnOneFolderAreRefused(t *testing.T) {
	dir := dataDir(t)
	start(t, func(o *standalone.Options) { o.Data = dir })
	_, err := standalone.Start(t.Context(), standalone.Options{Data: dir, Listen: "127.0.0.1:0"})
	require.ErrorContains(t, err, "another Riposte runs on "+dir)
}
