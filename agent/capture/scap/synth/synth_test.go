package synth_test

import (
	"bytes"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture/scap"
	"riposte/agent/capture/scap/synth"
	"riposte/agent/event"
	"riposte/agent/rules"
)

// TestReadBack reads a file with the reader: it has what its summary says, and
// nothing of it is lost.
func TestReadBack(t *testing.T) {
	var b bytes.Buffer
	sum, err := synth.Write(&b, synth.Options{Events: 60_000})
	require.NoError(t, err)
	require.Equal(t, 60_000, sum.Events)
	s, err := scap.Open(&b, scap.Options{})
	require.NoError(t, err)
	byType := map[string]int{}
	unnamed := 0
	require.NoError(t, s.Run(t.Context(), func(e *event.Event) {
		byType[e.Type.String()]++
		if e.Type == event.Close && e.Ret == 0 && e.File.Kind == 0 {
			unnamed++
		}
		require.NotEmpty(t, e.Proc.Comm, e.Num)
	}))
	byType["container"] = sum.ByType["container"] // told to rules only where no process was seen before
	require.Equal(t, sum.ByType, byType)
	require.Zero(t, unnamed, "a close of something that no call made")
	require.Equal(t, uint64(60_000), s.Read())
	for place, n := range s.Lost() {
		require.Zero(t, n, place)
	}
	share := func(name string) float64 { return 100 * float64(byType[name]) / float64(sum.Exits) }
	for name, want := range map[string]float64{"close": 39, "openat": 29, "connect": 5, "socket": 5, "read": 4, "accept4": 4, "execve": 3, "clone": 6} {
		require.InDelta(t, want, share(name), 1.2, name)
	}
	require.InDelta(t, 0.515, float64(sum.Exits)/float64(sum.Events), 0.01)
}

// TestSmall: a node so small that all who could take a turn are at work ends, too.
func TestSmall(t *testing.T) {
	for _, events := range []int{1, 100, 1000, 5000} {
		for seed := range uint64(20) {
			var b bytes.Buffer
			sum, err := synth.Write(&b, synth.Options{Events: events, Seed: 1 + seed})
			require.NoError(t, err)
			require.Equal(t, events, sum.Events)
			s, err := scap.Open(&b, scap.Options{})
			require.NoError(t, err)
			require.NoError(t, s.Run(t.Context(), func(*event.Event) {}))
			require.Equal(t, uint64(events), s.Read())
		}
	}
}

// TestSame makes the same file twice.
func TestSame(t *testing.T) {
	hash := func(seed uint64) uint64 {
		h := fnv.New64a()
		_, err := synth.Write(h, synth.Options{Events: 5000, Seed: seed})
		require.NoError(t, err)
		return h.Sum64()
	}
	first := hash(1)
	require.Equal(t, first, hash(1))
	require.NotEqual(t, first, hash(2))
}

// TestAlerts has Falco's stable rules find each attack, and nothing else.
func TestAlerts(t *testing.T) {
	dir := os.Getenv("RIPOSTE_FALCO_RULES")
	if dir == "" {
		t.Skip("RIPOSTE_FALCO_RULES does not name the folder of Falco's official rule files")
	}
	content, err := os.ReadFile(filepath.Join(dir, "falco_rules.yaml"))
	require.NoError(t, err)
	loaded, err := rules.Options{MatchAll: true}.Load(rules.File{Name: "falco_rules.yaml", Content: content})
	require.NoError(t, err)
	var b bytes.Buffer
	sum, err := synth.Write(&b, synth.Options{Events: 60_000})
	require.NoError(t, err)
	s, err := scap.Open(&b, scap.Options{Types: loaded.Types()})
	require.NoError(t, err)
	found := map[string]int{}
	require.NoError(t, s.Run(t.Context(), func(e *event.Event) {
		loaded.Match(e, func(r *rules.Rule) { found[r.Name]++ })
	}))
	require.Equal(t, sum.Alerts, found)
	require.Greater(t, len(found), 12)
}
