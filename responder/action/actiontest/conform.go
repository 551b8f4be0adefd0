package actiontest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
)

// Case is an action that changes one object in place, for [Conform].
type Case struct {
	Make Make
	// Target makes an object of this name that the action has something to do to.
	Target func(t testing.TB, cluster *kubetest.Cluster, name string) action.Target
	Params string
	// Settle plays the controllers whose report Verify waits for; nil if it waits for none.
	Settle func(t testing.TB, cluster *kubetest.Cluster, target action.Target)
	// Refusal is the permission that a user without any is told to lack.
	Refusal string
}

// Conform runs the tests that every such action must pass, each as a user with
// exactly the declared permissions.
func Conform(t *testing.T, c Case) {
	cluster := kubetest.Shared(t)
	a := Declared(t, cluster, c.Make)
	s := a.Spec()
	t.Run("example", func(t *testing.T) {
		target := c.Target(t, cluster, "example")
		require.NoError(t, a.Check(target, json.RawMessage(s.Example)))
		require.NoError(t, a.Check(target, json.RawMessage(c.Params)))
		require.ErrorContains(t, a.Check(target, json.RawMessage(`{"no_such_param": 1}`)), `unknown key "no_such_param"`)
		target.UID = ""
		require.ErrorContains(t, a.Check(target, json.RawMessage(c.Params)), "target.uid: ")
	})
	t.Run("preview changes nothing", func(t *testing.T) {
		target := c.Target(t, cluster, "preview")
		was := Get(t, cluster, target)
		text, err := a.(action.Previewer).Preview(t.Context(), Request(a, target, c.Params))
		require.NoError(t, err)
		require.Contains(t, text, "\n+")
		require.Contains(t, text, "@@")
		require.Equal(t, was, Get(t, cluster, target))
	})
	t.Run("crash in between", func(t *testing.T) {
		target := c.Target(t, cluster, "crash")
		r := Request(a, target, c.Params)
		first, err := a.Execute(t.Context(), r)
		require.NoError(t, err)
		require.False(t, first.ExecutedAt.IsZero())
		was := Get(t, cluster, target)

		r.Attempt = 2
		second, err := a.Execute(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, was, Get(t, cluster, target), "a second attempt changes nothing")
		require.JSONEq(t, string(first.Before), string(second.Before), "and finds what the first one replaced")
		if c.Settle != nil {
			_, err = a.Verify(Soon(t, 200*time.Millisecond), r)
			require.Error(t, err, "nobody has reported the effect yet")
			c.Settle(t, cluster, target)
		}
		seen, err := a.Verify(Soon(t, 20*time.Second), r)
		require.NoError(t, err)
		require.False(t, seen.IsZero())
	})
	t.Run("gone", func(t *testing.T) {
		target := c.Target(t, cluster, "gone")
		Remove(t, cluster, target)
		r := Request(a, target, c.Params)
		result, err := a.Execute(t.Context(), r)
		require.NoError(t, err)
		require.Contains(t, result.Note, "already gone")
		require.False(t, result.VerifiedAt.IsZero())
		_, err = a.Verify(Soon(t, 20*time.Second), r)
		require.NoError(t, err)
		text, err := a.(action.Previewer).Preview(t.Context(), r)
		require.NoError(t, err)
		require.Contains(t, text, "already gone")
	})
	t.Run("replaced", func(t *testing.T) {
		target := c.Target(t, cluster, "replaced")
		successor := target
		successor.UID = Replace(t, cluster, target)
		was := Get(t, cluster, successor)
		result, err := a.Execute(t.Context(), Request(a, target, c.Params))
		require.NoError(t, err)
		require.Contains(t, result.Note, "replaced by another of its name ("+successor.UID+"), which was left alone")
		require.Equal(t, was, Get(t, cluster, successor))
		if u, ok := a.(action.Undoer); ok {
			result, err = u.Undo(t.Context(), Request(a, target, c.Params))
			require.NoError(t, err)
			require.Contains(t, result.Note, "replaced by another")
			require.Equal(t, was, Get(t, cluster, successor))
		}
	})
	t.Run("refused", func(t *testing.T) {
		nobody := Connect(t, cluster.As(t, "nobody"), c.Make)
		_, err := nobody.Execute(t.Context(), Request(a, c.Target(t, cluster, "refused"), c.Params))
		require.Equal(t, action.Permanent, action.KindOf(err))
		require.ErrorContains(t, err, `the responder lacks the permission "`+c.Refusal+`"`)
	})
	u, ok := a.(action.Undoer)
	if !ok {
		return
	}
	t.Run("undo", func(t *testing.T) {
		target := c.Target(t, cluster, "undo")
		was := Get(t, cluster, target)
		r := Request(a, target, c.Params)
		result, err := a.Execute(t.Context(), r)
		require.NoError(t, err)
		r.Before = result.Before
		for range 2 { // a crash after the undo brings it again
			_, err = u.Undo(t.Context(), r)
			require.NoError(t, err)
			now := Get(t, cluster, target)
			for _, o := range []map[string]any{was.Object, now.Object} {
				meta := o["metadata"].(map[string]any)
				for _, field := range []string{"resourceVersion", "managedFields", "generation"} {
					delete(meta, field)
				}
			}
			require.Equal(t, was, now, "nothing is left of it")
		}
	})
	t.Run("undo after a crash that kept the before-image from the record", func(t *testing.T) {
		target := c.Target(t, cluster, "undo-crash")
		r := Request(a, target, c.Params)
		_, err := a.Execute(t.Context(), r)
		require.NoError(t, err)
		result, err := u.Undo(t.Context(), r)
		require.NoError(t, err)
		require.Contains(t, result.Note, "brought back")
	})
	t.Run("undo of what was so before", func(t *testing.T) {
		target := c.Target(t, cluster, "undo-before")
		_, err := a.Execute(t.Context(), Request(a, target, c.Params))
		require.NoError(t, err)
		was := Get(t, cluster, target)
		r := Request(a, target, c.Params)
		result, err := a.Execute(t.Context(), r)
		require.NoError(t, err)
		require.Contains(t, result.Note, "it was so already")
		r.Before = result.Before
		_, err = u.Undo(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, was, Get(t, cluster, target), "another action's effect is not this one's to lift")
	})
}
