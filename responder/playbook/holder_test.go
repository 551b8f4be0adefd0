package playbook_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, dir, name, text string) {
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

func TestBadReloadKeepsTheLastGoodSet(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.rego", head("a")+killPod)
	h, err := playbook.NewHolder(playbook.Options{}, playbook.Embedded(), playbook.Dir(dir))
	require.NoError(t, err)
	require.NoError(t, h.Last().Err)
	good := h.Set()

	write(t, dir, "a.rego", head("a")+"action contains {} if input.x\n")
	require.ErrorContains(t, h.Reload(), "undefined ref: input.x")
	require.ErrorContains(t, h.Last().Err, "undefined ref: input.x")
	require.Same(t, good, h.Set())

	write(t, dir, "a.rego", strings.Replace(head("a"), "enforce", "observe", 1)+killPod)
	require.NoError(t, h.Reload())
	require.NoError(t, h.Last().Err)
	require.Equal(t, playbook.Observe, h.Playbooks()[0].Mode)

	_, err = playbook.NewHolder(playbook.Options{}, playbook.Dir(filepath.Join(dir, "missing")))
	require.ErrorContains(t, err, "missing: no such file or directory")
}

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h, err := playbook.NewHolder(playbook.Options{}, playbook.Embedded(), playbook.Dir(dir))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() { h.Watch(ctx, time.Second, func(sandbox.Reload) {}) })
		synctest.Wait()

		first := h.Set()
		ours := len(first.Playbooks())
		// Half a second off the ticks, so that none falls together with a write.
		time.Sleep(10500 * time.Millisecond)
		require.Same(t, first, h.Set(), "nothing was changed, nothing is loaded")

		write(t, dir, "a.rego", head("a")+killPod)
		time.Sleep(time.Second)
		synctest.Wait()
		require.Same(t, first, h.Set(), "the change has not settled")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Len(t, h.Playbooks(), ours+1)

		write(t, dir, "a.rego", "nonsense")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Len(t, h.Playbooks(), ours+1)
		require.Error(t, h.Last().Err)

		require.NoError(t, os.Remove(filepath.Join(dir, "a.rego")))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		require.Len(t, h.Playbooks(), ours)
		require.NoError(t, h.Last().Err)
		cancel()
		wg.Wait()
	})
}

// Evaluations go on while sets are swapped.
func TestReloadWhileEvaluating(t *testing.T) {
	h, err := playbook.NewHolder(patient, playbook.Embedded())
	require.NoError(t, err)
	in := drill(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			for _, d := range h.Evaluate(context.Background(), in) {
				if d.Refusal != "" {
					t.Error(d.Refusal)
				}
			}
		}
	})
	for range 10 {
		require.NoError(t, h.Reload())
	}
	cancel()
	wg.Wait()
}
