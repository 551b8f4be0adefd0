package guard_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/guard"
	"riposte/responder/playbook/sandbox"
)

// watched is a guard that follows its file, and what it reported of it.
func watched(t *testing.T, text string) (g *guard.Guard, write func(string), next func() sandbox.Reload) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "guard.yaml")
	write = func(text string) {
		t.Helper()
		// As an editor or a ConfigMap does: another file in its place.
		require.NoError(t, os.WriteFile(file+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(file+".new", file))
	}
	write(text)
	g, err := guard.New(guard.Options{File: file})
	require.NoError(t, err)
	reports := make(chan sandbox.Reload, 10)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { g.WatchFile(ctx, 5*time.Millisecond, func(r sandbox.Reload) { reports <- r }) })
	t.Cleanup(func() { cancel(); watching.Wait() })
	return g, write, func() (r sandbox.Reload) {
		t.Helper()
		select {
		case r = <-reports:
		case <-time.After(20 * time.Second):
			t.Fatal("the change was not seen")
		}
		return r
	}
}

func TestAChangedFileIsTakenOver(t *testing.T) {
	g, write, next := watched(t, "cooldown: 7m\nprotected: {namespaces: [bank]}\n")
	require.Equal(t, 7*time.Minute, g.Limits().Cooldown)
	namespaces, _, labels := g.Protected()
	require.Equal(t, append(guard.DefaultNamespaces(), "bank"), namespaces)
	require.Equal(t, guard.DefaultLabels(), labels)

	write("cooldown: 8m\nprotected: {namespaces: [shop], names: [dns*], labels: {tier: gold}}\n")
	r := next()
	require.NoError(t, r.Err)
	require.Len(t, r.Changed, 1)
	require.NotEqual(t, r.Changed[0].Revision, r.Changed[0].Was)
	require.Equal(t, 8*time.Minute, g.Limits().Cooldown)
	namespaces, names, labels := g.Protected()
	require.Equal(t, append(guard.DefaultNamespaces(), "shop"), namespaces)
	require.Equal(t, []string{"dns*"}, names)
	require.Equal(t, "gold", labels["tier"])
	require.Equal(t, "true", labels["riposte.dev/protected"], "what is protected anyway stays")
	require.True(t, g.Protects("shop", "web-1", "", nil))
	require.False(t, g.Protects("bank", "web-1", "", nil))
}

// Whatever is wrong with the file, what was read before holds.
func TestABadFileChangesNothing(t *testing.T) {
	g, write, next := watched(t, "cooldown: 7m\n")
	write("cooldown: 8m\ncooldwn: 1s\n")
	require.ErrorContains(t, next().Err, "line 2: field cooldwn not found")
	write("ready_share: 900\n")
	require.ErrorContains(t, next().Err, "guard.yaml")
	require.Equal(t, 7*time.Minute, g.Limits().Cooldown)
	require.Equal(t, uint64(2), g.FileLoads().Bad)
	require.Error(t, g.LastFile().Err)

	write("cooldown: 9m\n")
	require.NoError(t, next().Err)
	require.Equal(t, 9*time.Minute, g.Limits().Cooldown)
}

func TestAFileThatIsGoneChangesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "guard.yaml")
	require.NoError(t, os.WriteFile(file, []byte("cooldown: 7m\n"), 0o600))
	g, err := guard.New(guard.Options{File: file})
	require.NoError(t, err)
	require.NoError(t, os.Remove(file))
	ctx, cancel := context.WithCancel(t.Context())
	g.WatchFile(ctx, time.Millisecond, func(r sandbox.Reload) {
		require.ErrorIs(t, r.Err, os.ErrNotExist)
		cancel()
	})
	require.Equal(t, 7*time.Minute, g.Limits().Cooldown)
	_, err = guard.New(guard.Options{File: file})
	require.ErrorIs(t, err, os.ErrNotExist, "at the start it is an error")
	_, err = guard.New(guard.Options{File: t.TempDir()})
	require.ErrorContains(t, err, "no regular file")
}
