package action_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
)

func TestIdentityIsInjective(t *testing.T) {
	pod := action.Target{Kind: "pod", Cluster: "c", Node: "n", Namespace: "a", Name: "b", UID: "u"}
	container := action.Target{Kind: "container", Cluster: "c", Node: "n", ContainerID: "x", CgroupID: 1, StartNS: 2}
	seen := map[string]action.Target{}
	for _, c := range []struct {
		base   action.Target
		change func(*action.Target)
	}{
		{pod, func(*action.Target) {}},
		{pod, func(x *action.Target) { x.Cluster = "d" }},
		{pod, func(x *action.Target) { x.Kind = "node" }},
		{pod, func(x *action.Target) { x.Namespace = "z" }},
		{pod, func(x *action.Target) { x.Name = "z" }},
		{pod, func(x *action.Target) { x.UID = "z" }},
		{container, func(*action.Target) {}},
		{container, func(x *action.Target) { x.Cluster = "d" }},
		{container, func(x *action.Target) { x.Node = "m" }},
		{container, func(x *action.Target) { x.ContainerID = "y" }},
		{container, func(x *action.Target) { x.CgroupID = 12 }},
		{container, func(x *action.Target) { x.StartNS = 3 }},
	} {
		target := c.base
		c.change(&target)
		id := target.Identity()
		require.NotContains(t, seen, id, "%+v", target)
		seen[id] = target
	}
	// A pod that moved is still the same pod.
	moved := pod
	moved.Node = "other"
	require.Equal(t, pod.Identity(), moved.Identity())
}

func TestTargetsAreNamedForPeople(t *testing.T) {
	require.Equal(t, "pod shop/cart-7 (uid-1)", action.Target{Kind: "pod", Namespace: "shop", Name: "cart-7", UID: "uid-1"}.String())
	require.Equal(t, "container 0123456789ab on n1", action.Target{Kind: "container", ContainerID: "0123456789abcdef", Node: "n1"}.String())
	require.Equal(t, "container short on n1", action.Target{Kind: "container", ContainerID: "short", Node: "n1"}.String())
}

func TestKindOf(t *testing.T) {
	cause := errors.New("conflict")
	for _, kind := range []action.ErrorKind{action.Retryable, action.Permanent, action.Refused} {
		err := fmt.Errorf("delete the pod: %w", &action.Error{Kind: kind, Err: cause})
		require.Equal(t, kind, action.KindOf(err))
		require.ErrorIs(t, err, cause)
		require.EqualError(t, err, "delete the pod: conflict")
	}
	require.Equal(t, action.Retryable, action.KindOf(cause), "an unknown error may be tried again")
}

// scale is an action whose Check reads the params.
type scale struct{ name string }

func (s scale) Spec() action.Spec { return action.Spec{Type: s.name, Kind: "pod"} }

func (scale) Check(_ action.Target, params json.RawMessage) error {
	if string(params) == "{}" {
		return nil
	}
	return errors.New("params: unknown key")
}

func (scale) Execute(context.Context, action.Request) (action.Result, error) {
	return action.Result{}, nil
}
func (scale) Verify(context.Context, action.Request) (time.Time, error) { return time.Time{}, nil }

func TestRegistryChecks(t *testing.T) {
	r := action.NewRegistry(scale{"scale"}, scale{"other"})
	pod := action.Target{Kind: "pod"}
	require.NoError(t, r.Check("scale", pod, json.RawMessage("{}")))
	require.EqualError(t, r.Check("scale", pod, json.RawMessage("[]")), "params: unknown key")
	require.EqualError(t, r.Check("explode", pod, nil), `type: no action is called "explode"`)
	require.EqualError(t, r.Check("scale", action.Target{Kind: "container"}, nil), `target.kind: scale acts on a pod, not on a "container"`)
}

func TestTwoActionsOfOneTypeAreAProgrammingError(t *testing.T) {
	require.PanicsWithValue(t, "two actions of type scale", func() { action.NewRegistry(scale{"scale"}, scale{"scale"}) })
}
