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
func Conform(t *testing.T, of Case) {
	cluster := kubetest.Shared(t)
	c := conforming{Case: of, cluster: cluster, action: Declared(t, cluster, of.Make)}
	t.Run("example", c.example)
	t.Run("preview changes nothing", c.preview)
	t.Run("crash in between", c.crash)
	t.Run("gone", c.gone)
	t.Run("replaced", c.replaced)
	t.Run("refused", c.refused)
	if _, ok := c.action.(action.Undoer); !ok {
		return
	}
	t.Run("undo", c.undo)
	t.Run("undo after a crash that kept the before-image from the record", c.undoAfterCrash)
	t.Run("undo of what was so before", c.undoOfNothing)
}

// conforming is a case with what its tests share.
type conforming struct {
	Case
	cluster *kubetest.Cluster
	action  action.Action
}

func (c conforming) undoer() action.Undoer { return c.action.(action.Undoer) }

// example: the example of the Spec holds, and what is not described does not.
func (c conforming) example(t *testing.T) {
	target := c.Target(t, c.cluster, "example")
	require.NoError(t, c.action.Check(target, json.RawMessage(c.action.Spec().Example)))
	require.NoError(t, c.action.Check(target, json.RawMessage(c.Params)))
	require.ErrorContains(t, c.action.Check(target, json.RawMessage(`{"no_such_param": 1}`)), `unknown key "no_such_param"`)
	target.UID = ""
	require.ErrorContains(t, c.action.Check(target, json.RawMessage(c.Params)), "target.uid: ")
}

// preview changes nothing and shows the change.
func (c conforming) preview(t *testing.T) {
	target := c.Target(t, c.cluster, "preview")
	was := Get(t, c.cluster, target)
	text, err := c.action.(action.Previewer).Preview(t.Context(), Request(c.action, target, c.Params))
	require.NoError(t, err)
	require.Contains(t, text, "\n+")
	require.Contains(t, text, "@@")
	require.Equal(t, was, Get(t, c.cluster, target))
}

// crash: a second attempt after a first one that nobody heard of.
func (c conforming) crash(t *testing.T) {
	target := c.Target(t, c.cluster, "crash")
	r := Request(c.action, target, c.Params)
	first, err := c.action.Execute(t.Context(), r)
	require.NoError(t, err)
	require.False(t, first.ExecutedAt.IsZero())
	was := Get(t, c.cluster, target)

	r.Attempt = 2
	second, err := c.action.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, was, Get(t, c.cluster, target), "a second attempt changes nothing")
	require.JSONEq(t, string(first.Before), string(second.Before), "and finds what the first one replaced")
	if c.Settle != nil {
		_, err = c.action.Verify(Soon(t, 200*time.Millisecond), r)
		require.Error(t, err, "nobody has reported the effect yet")
		c.Settle(t, c.cluster, target)
	}
	seen, err := c.action.Verify(Soon(t, 20*time.Second), r)
	require.NoError(t, err)
	require.False(t, seen.IsZero())
}

// gone: the target is deleted before.
func (c conforming) gone(t *testing.T) {
	target := c.Target(t, c.cluster, "gone")
	Remove(t, c.cluster, target)
	r := Request(c.action, target, c.Params)
	result, err := c.action.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "already gone")
	require.False(t, result.VerifiedAt.IsZero())
	_, err = c.action.Verify(Soon(t, 20*time.Second), r)
	require.NoError(t, err)
	text, err := c.action.(action.Previewer).Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, "already gone")
}

// replaced: another object has the name.
func (c conforming) replaced(t *testing.T) {
	target := c.Target(t, c.cluster, "replaced")
	successor := target
	successor.UID = Replace(t, c.cluster, target)
	was := Get(t, c.cluster, successor)
	result, err := c.action.Execute(t.Context(), Request(c.action, target, c.Params))
	require.NoError(t, err)
	require.Contains(t, result.Note, "replaced by another of its name ("+successor.UID+"), which was left alone")
	require.Equal(t, was, Get(t, c.cluster, successor))
	if u, ok := c.action.(action.Undoer); ok {
		result, err = u.Undo(t.Context(), Request(c.action, target, c.Params))
		require.NoError(t, err)
		require.Contains(t, result.Note, "replaced by another")
		require.Equal(t, was, Get(t, c.cluster, successor))
	}
}

// refused: what a permission is missing for is told by its name.
func (c conforming) refused(t *testing.T) {
	nobody := Connect(t, c.cluster.As(t, "nobody"), c.Make)
	_, err := nobody.Execute(t.Context(), Request(c.action, c.Target(t, c.cluster, "refused"), c.Params))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "`+c.Refusal+`"`)
}

// undo leaves nothing, however often it comes.
func (c conforming) undo(t *testing.T) {
	target := c.Target(t, c.cluster, "undo")
	was := Get(t, c.cluster, target)
	r := Request(c.action, target, c.Params)
	result, err := c.action.Execute(t.Context(), r)
	require.NoError(t, err)
	r.Before = result.Before
	for range 2 { // a crash after the undo brings it again
		_, err = c.undoer().Undo(t.Context(), r)
		require.NoError(t, err)
		now := Get(t, c.cluster, target)
		for _, o := range []map[string]any{was.Object, now.Object} {
			meta := o["metadata"].(map[string]any)
			for _, field := range []string{"resourceVersion", "managedFields", "generation"} {
				delete(meta, field)
			}
		}
		require.Equal(t, was, now, "nothing is left of it")
	}
}

// undoAfterCrash finds what it is to bring back on the object itself.
func (c conforming) undoAfterCrash(t *testing.T) {
	target := c.Target(t, c.cluster, "undo-crash")
	r := Request(c.action, target, c.Params)
	_, err := c.action.Execute(t.Context(), r)
	require.NoError(t, err)
	result, err := c.undoer().Undo(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "brought back")
}

// undoOfNothing leaves alone what another action did.
func (c conforming) undoOfNothing(t *testing.T) {
	target := c.Target(t, c.cluster, "undo-before")
	_, err := c.action.Execute(t.Context(), Request(c.action, target, c.Params))
	require.NoError(t, err)
	was := Get(t, c.cluster, target)
	r := Request(c.action, target, c.Params)
	result, err := c.action.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "it was so already")
	r.Before = result.Before
	_, err = c.undoer().Undo(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, was, Get(t, c.cluster, target), "another action's effect is not this one's to lift")
}
