package contain_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/cgroupns/cgroupnstest"
	"riposte/agent/contain"
	"riposte/agent/event"
	"riposte/agent/order"
)

// agentSetup is what the process under test needs to know.
type agentSetup struct {
	Key       ed25519.PublicKey
	Root, Dir string
	Container event.Container
}

// agentChild is an agent's containing half as a process of its own: it answers each
// order that it reads with a receipt.
func agentChild() {
	var s agentSetup
	if err := json.Unmarshal([]byte(os.Getenv(childRole)), &s); err != nil {
		panic(err)
	}
	h, err := contain.Open(contain.Options{
		Cluster: "c", Node: "n", Keys: contain.Keys{s.Key}, CgroupRoot: s.Root, Dir: s.Dir, Containers: &known{all: map[string]event.Container{s.Container.ID: s.Container}},
	})
	if err != nil {
		panic(err)
	}
	in := bufio.NewReader(os.Stdin)
	for {
		message, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		os.Stdout.Write(append(h.Answer(context.Background(), message), '\n'))
	}
}

// killable is such a process.
type killable struct {
	t     *testing.T
	setup string
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	// deaths counts how often it was killed in the middle of an order.
	deaths int
}

func (k *killable) start() {
	k.cmd = exec.Command(os.Args[0])
	k.cmd.Env = append(os.Environ(), childRole+"="+k.setup)
	k.cmd.Stderr = os.Stderr
	var err error
	k.in, err = k.cmd.StdinPipe()
	require.NoError(k.t, err)
	out, err := k.cmd.StdoutPipe()
	require.NoError(k.t, err)
	k.out = bufio.NewReader(out)
	require.NoError(k.t, k.cmd.Start())
}

func (k *killable) kill() {
	k.cmd.Process.Kill()
	k.cmd.Wait()
}

// order repeats an order, as the responder does, until a receipt comes. The process is
// killed after the delay, once, and starts anew.
func (k *killable) order(key ed25519.PrivateKey, o order.Order, delay time.Duration) (r order.Receipt) {
	message, err := order.Sign(key, o)
	require.NoError(k.t, err)
	first := k.cmd.Process
	dies := time.AfterFunc(delay, func() { first.Kill() })
	defer dies.Stop()
	for range 10 {
		if _, err = k.in.Write(append(message, '\n')); err == nil {
			var answer []byte
			if answer, err = k.out.ReadBytes('\n'); err == nil {
				require.NoError(k.t, json.Unmarshal(answer, &r))
				return r
			}
		}
		k.cmd.Wait()
		k.deaths++
		k.start()
	}
	k.t.Fatal("no receipt: ", err)
	return r
}

// TestKilledAtAnyMoment kills the agent with SIGKILL at random moments while it
// freezes, cuts, and lifts. In the end each order was carried out, and nothing of
// what was lifted is left.
func TestKilledAtAnyMoment(t *testing.T) {
	w := newNetwork(t, true)
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	setup, err := json.Marshal(agentSetup{Key: public, Root: cgroupnstest.Root(t), Dir: t.TempDir(), Container: w.Container})
	require.NoError(t, err)
	k := &killable{t: t, setup: string(setup)}
	k.start()
	defer func() { k.kill() }()
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 24 {
		kind, back := order.Freeze, order.Thaw
		if i%2 == 1 {
			kind, back = order.Cut, order.Reconnect
		}
		id := strconv.Itoa(i)
		delay := func() time.Duration { return time.Duration(random.IntN(12_000)) * time.Microsecond }
		r := k.order(private, held(kind, id, w.target(), time.Minute), delay())
		require.Equal(t, order.Done, r.Outcome, r.Message)
		require.NotZero(t, r.VerifiedNS, r.Message)
		require.Zero(t, r.LiftedNS)
		if kind == order.Freeze {
			require.True(t, w.frozen(t))
		} else {
			require.Equal(t, 2, attachedTo(t, w.host))
		}
		r = k.order(private, lift(back, id+"b", w.target(), id), delay())
		// After a kill between the effect and the receipt nothing is left to lift.
		require.Contains(t, []order.Outcome{order.Done, order.Gone}, r.Outcome, r.Message)
		require.False(t, w.frozen(t))
		require.Zero(t, attachedTo(t, w.host))
	}
	t.Log("killed in the middle of an order: ", k.deaths)
	require.NotZero(t, k.deaths)
}
