package guard_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"riposte/responder/guard"
	"riposte/responder/playbook"
)

func turn(g *guard.Guard, on bool, reason string) error {
	return g.Turn(context.Background(), guard.Switch{On: on, Actor: "jane", Reason: reason})
}

func TestKillSwitch(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "kill-switch")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	g := newGuard(t, guard.Options{KillSwitchFile: file, Now: func() time.Time { return at }})
	require.False(t, g.KillSwitch().On)
	require.NoError(t, turn(g, false, ""), "off twice is off")

	require.NoError(t, turn(g, true, "wrong playbook"))
	s := g.KillSwitch()
	require.NoError(t, uuid.Validate(s.ID))
	s.ID = ""
	require.Equal(t, guard.Switch{Scope: guard.ScopeAll, On: true, Reason: "wrong playbook", Actor: "jane", At: at}, s)
	require.Equal(t, guard.Verdict{Outcome: guard.Refuse, Rule: "kill-switch", Reason: "the kill switch is on: wrong playbook"},
		g.Judge(context.Background(), pod()))

	q := pod()
	q.Mode = playbook.Observe
	require.Equal(t, guard.Watch, g.Judge(context.Background(), q).Outcome, "watching goes on")
	q.Mode = playbook.Approve
	require.Equal(t, "kill-switch", g.Judge(context.Background(), q).Rule, "nobody is asked for what cannot be done")

	other := newGuard(t, guard.Options{KillSwitchFile: file})
	require.True(t, other.KillSwitch().On, "it outlives the process")

	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file is left")

	require.NoError(t, turn(g, false, ""))
	require.Equal(t, guard.Allow, g.Judge(context.Background(), pod()).Outcome)
}

// In doubt it is on.
func TestKillSwitchFailsClosed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "kill-switch")
	g := newGuard(t, guard.Options{KillSwitchFile: file})
	for name, tt := range map[string]struct{ text, want string }{
		"empty, made by hand": {"", "its file is there"},
		"blank":               {"\n", "its file is there"},
		"no JSON":             {"stop!", "its file is damaged"},
		"a wrong type":        {`{"reason": 7}`, "its file is damaged"},
		"far too long":        {`{"reason": "` + strings.Repeat("x", 20000) + `"}`, "its file is damaged"},
		"hostile":             {`{"reason": "a\u0000\u001b[2Jb"}`, "a  [2Jb"},
		"no reason":           {`{}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte(tt.text), 0o600))
			s := g.KillSwitch()
			require.True(t, s.On)
			require.Contains(t, s.Reason, tt.want)
			require.Equal(t, guard.Refuse, g.Judge(context.Background(), pod()).Outcome)
		})
	}
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.Mkdir(file, 0o700))
	require.True(t, g.KillSwitch().On, "a directory in its place")
	require.NoError(t, os.Remove(file))
	g = newGuard(t, guard.Options{KillSwitchFile: filepath.Join(file, "deeper")})
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.True(t, g.KillSwitch().On, "its path cannot be followed")
}

func TestKillSwitchErrors(t *testing.T) {
	g := newGuard(t, guard.Options{})
	require.ErrorIs(t, turn(g, true, "x"), guard.ErrNoKillSwitch)
	require.False(t, g.KillSwitch().On)

	dir := t.TempDir()
	g = newGuard(t, guard.Options{KillSwitchFile: filepath.Join(dir, "kill-switch")})
	require.ErrorContains(t, turn(g, true, strings.Repeat("x", 20000)), "bytes")
	require.False(t, g.KillSwitch().On)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	g = newGuard(t, guard.Options{KillSwitchFile: filepath.Join(dir, "file", "kill-switch")})
	require.ErrorContains(t, turn(g, true, "x"), "turn the kill switch on: ")
}

// No reader ever sees half a file, whoever writes.
func TestKillSwitchIsReplacedAsAWhole(t *testing.T) {
	g := newGuard(t, guard.Options{KillSwitchFile: filepath.Join(t.TempDir(), "kill-switch")})
	long := strings.Repeat("x", 900)
	require.NoError(t, turn(g, true, long))
	done := make(chan struct{})
	var wg sync.WaitGroup
	var torn error
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if s := g.KillSwitch(); !s.On || s.Reason != long && s.Reason != "short" {
				torn = errors.New("read " + s.Reason)
			}
		}
	})
	for i := range 50 {
		reason := long
		if i%2 == 0 {
			reason = "short"
		}
		require.NoError(t, turn(g, true, reason))
	}
	close(done)
	wg.Wait()
	require.NoError(t, torn)
}

// A switch of one cluster or playbook stops that one alone.
func TestKillSwitchScopes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kill-switch")
	g := newGuard(t, guard.Options{KillSwitchFile: file})
	for _, s := range []guard.Switch{
		{Scope: guard.ScopeAll, Name: "x"}, {Scope: guard.ScopeCluster}, {Scope: "node", Name: "n"}, {Scope: guard.ScopePlaybook, Name: strings.Repeat("x", 64)},
	} {
		s.On = true
		require.ErrorIs(t, g.Turn(t.Context(), s), guard.ErrSwitchName)
	}
	for _, s := range []guard.Switch{
		{Scope: guard.ScopeCluster, Name: "another"}, {Scope: guard.ScopePlaybook, Name: "another"}, {Scope: guard.ScopeCluster, Name: "../../c"},
	} {
		s.On, s.Actor = true, "jane"
		require.NoError(t, g.Turn(t.Context(), s))
	}
	require.Equal(t, guard.Allow, g.Judge(t.Context(), pod()).Outcome)
	require.Len(t, g.Switches(), 3)

	for _, s := range []guard.Switch{{Scope: guard.ScopeCluster, Name: "c"}, {Scope: guard.ScopePlaybook, Name: "p"}} {
		s.On, s.Actor, s.Reason = true, "jane", "so"
		require.NoError(t, g.Turn(t.Context(), s))
		v := g.Judge(t.Context(), pod())
		require.Equal(t, "kill-switch", v.Rule)
		require.Equal(t, "the kill switch of "+string(s.Scope)+" "+s.Name+" is on: so", v.Reason)
		s.On = false
		require.NoError(t, g.Turn(t.Context(), s))
		require.Equal(t, guard.Allow, g.Judge(t.Context(), pod()).Outcome)
	}
	require.NoError(t, os.WriteFile(file+".playbook.p", nil, 0o600))
	require.Equal(t, "the kill switch of playbook p is on: its file is there", g.Judge(t.Context(), pod()).Reason)
}
