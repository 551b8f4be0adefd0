package killcontainer_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/order"
	"riposte/responder/action"
	"riposte/responder/action/killcontainer"
)

// node is the other side: it answers each order with the next receipt, the last
// one again and again.
type node struct {
	mu       sync.Mutex
	receipts []order.Receipt
	err      error
	orders   []order.Order
}

func (n *node) SendOrder(_ context.Context, o order.Order) (order.Receipt, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.orders = append(n.orders, o)
	if n.err != nil {
		return order.Receipt{}, n.err
	}
	r := n.receipts[min(len(n.orders), len(n.receipts))-1]
	if r.OrderID == "" {
		r.OrderID = o.ID
	}
	return r, nil
}

func request() action.Request {
	return action.Request{
		ID: "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", Type: killcontainer.Type, Reason: "shell", Expires: time.Now().Add(time.Minute),
		Target: action.Target{
			Kind: "container", Cluster: "local", Node: "n1", ContainerID: strings.Repeat("ab", 32), CgroupID: 77, StartNS: 88,
		},
	}
}

func TestExecuteSendsTheWholeIdentity(t *testing.T) {
	n := &node{receipts: []order.Receipt{{Outcome: order.Done, ExecutedNS: 1000, VerifiedNS: 2000, Processes: 3}}}
	r := request()
	got, err := killcontainer.New(n).Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, action.Result{Note: "3 processes ended", ExecutedAt: time.Unix(0, 1000), VerifiedAt: time.Unix(0, 2000)}, got)

	require.Len(t, n.orders, 1)
	sent := n.orders[0]
	require.WithinDuration(t, time.Now(), sent.Issued, time.Minute)
	sent.Issued = time.Time{}
	require.Equal(t, order.Order{
		ID: r.ID, Kind: order.Kill, Cluster: "local", Node: "n1", Reason: "shell", Expires: r.Expires,
		Target: order.Target{ContainerID: r.Target.ContainerID, CgroupID: 77, StartNS: 88},
	}, sent)
}

func TestExecuteReadsTheReceipt(t *testing.T) {
	for name, c := range map[string]struct {
		receipt order.Receipt
		err     error
		note    string
		// kind and message of the error; no kind for success
		kind    action.ErrorKind
		message string
		// certain: the error is an *action.Error, so nothing happened
		certain bool
	}{
		"one process":    {receipt: order.Receipt{Outcome: order.Done, Processes: 1}, note: "1 process ended"},
		"repeated":       {receipt: order.Receipt{Outcome: order.Done, Processes: 2, Repeated: true}, note: "2 processes ended, at an earlier attempt"},
		"gone":           {receipt: order.Receipt{Outcome: order.Gone, Message: "no such cgroup"}, note: "the container was gone already: no such cgroup"},
		"refused":        {receipt: order.Receipt{Outcome: order.Refused, Message: "protected"}, kind: action.Refused, message: "node n1 refused: protected", certain: true},
		"failed":         {receipt: order.Receipt{Outcome: order.Failed, Message: "EBUSY"}, kind: action.Retryable, message: "node n1 could not: EBUSY", certain: true},
		"new outcome":    {receipt: order.Receipt{Outcome: "frozen"}, kind: action.Permanent, message: `unknown outcome "frozen"`, certain: true},
		"other receipt":  {receipt: order.Receipt{OrderID: "x", Outcome: order.Done}, kind: action.Retryable, message: `with the receipt of "x"`},
		"nobody answers": {err: errors.New("no responders"), kind: action.Retryable, message: "order node n1 to end container abababababab on n1: no responders"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := killcontainer.New(&node{receipts: []order.Receipt{c.receipt}, err: c.err}).Execute(t.Context(), request())
			if c.kind == "" {
				require.NoError(t, err)
				require.Equal(t, c.note, got.Note)
				return
			}
			require.ErrorContains(t, err, c.message)
			require.Equal(t, c.kind, action.KindOf(err))
			var own *action.Error
			require.Equal(t, c.certain, errors.As(err, &own))
		})
	}
}

func TestGoneCountsAsSeen(t *testing.T) {
	got, err := killcontainer.New(&node{receipts: []order.Receipt{{Outcome: order.Gone}}}).Execute(t.Context(), request())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), got.VerifiedAt, time.Minute)
	require.Equal(t, got.ExecutedAt, got.VerifiedAt)
}

func TestVerifyWaitsForTheEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{receipts: []order.Receipt{{Outcome: order.Done}, {Outcome: order.Done}, {Outcome: order.Done, VerifiedNS: 42}}}
		seen, err := killcontainer.New(n).Verify(t.Context(), request())
		require.NoError(t, err)
		require.Equal(t, time.Unix(0, 42), seen)
		require.Len(t, n.orders, 3)
		require.Equal(t, n.orders[0].ID, n.orders[2].ID, "a repeat is the same order")
	})
}

func TestVerifyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := killcontainer.New(&node{receipts: []order.Receipt{{Outcome: order.Done, Message: "2 left"}}}).Verify(ctx, request())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "node n1 does not report the effect: 2 left")

		_, err = killcontainer.New(&node{receipts: []order.Receipt{{Outcome: order.Refused, Message: "expired"}}}).Verify(t.Context(), request())
		require.Equal(t, action.Refused, action.KindOf(err))

		seen, err := killcontainer.New(&node{receipts: []order.Receipt{{Outcome: order.Gone}}}).Verify(t.Context(), request())
		require.NoError(t, err)
		require.False(t, seen.IsZero())
	})
}

func TestCheck(t *testing.T) {
	a := killcontainer.New(nil)
	for name, c := range map[string]struct {
		change func(*action.Target)
		params string
		want   string
	}{
		"whole":           {},
		"null params":     {params: " null "},
		"empty params":    {params: "{}"},
		"a name as id":    {change: func(x *action.Target) { x.ContainerID = "sandbox_1.drill-a" }},
		"a pod":           {change: func(x *action.Target) { x.Kind = "pod" }, want: `target.kind: kill_container acts on a container, not on a "pod"`},
		"no id":           {change: func(x *action.Target) { x.ContainerID = "" }, want: `target.container_id: "" is no container id`},
		"a path as id":    {change: func(x *action.Target) { x.ContainerID = "../../sys" }, want: "target.container_id:"},
		"a long id":       {change: func(x *action.Target) { x.ContainerID = strings.Repeat("a", 129) }, want: "target.container_id:"},
		"no cgroup":       {change: func(x *action.Target) { x.CgroupID = 0 }, want: "target.cgroup_id: is missing"},
		"no start":        {change: func(x *action.Target) { x.StartNS = 0 }, want: "target.start_ns: is missing"},
		"no node":         {change: func(x *action.Target) { x.Node = "" }, want: "target.node: is missing"},
		"no cluster":      {change: func(x *action.Target) { x.Cluster = "" }, want: "target.cluster: is missing"},
		"params no map":   {params: `[1]`, want: "params: is not an object"},
		"unknown param":   {params: `{"signal":9,"grace":1}`, want: `params: unknown key "grace"`},
		"params not JSON": {params: `{`, want: "params: is not an object"},
	} {
		t.Run(name, func(t *testing.T) {
			target := request().Target
			if c.change != nil {
				c.change(&target)
			}
			err := a.Check(target, json.RawMessage(c.params))
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestSpec(t *testing.T) {
	a := killcontainer.New(nil)
	s := a.Spec()
	require.Equal(t, "kill_container", s.Type)
	require.Equal(t, "container", s.Kind)
	require.Empty(t, s.Permissions, "it goes through the node's agent, not the API server")
	require.False(t, s.Slow)
	require.NoError(t, a.Check(request().Target, json.RawMessage(s.Example)))
}
