package agent_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/agent"
	"riposte/agent/alert"
	"riposte/agent/capture"
	"riposte/agent/enrich"
	"riposte/agent/order"
	"riposte/agent/publish"
	"riposte/deploy/standalone/natsd/natsdtest"
)

// TestMain is, in a helper process, a program that floods the agent.
func TestMain(m *testing.M) {
	if text := os.Getenv(floodVariable); text != "" {
		flood(text)
		return
	}
	goleak.VerifyTestMain(m)
}

const cluster, node = "lab", "n1.example"

// lab is the other side: a bus, and the responder's keys.
type lab struct {
	server   *natsdtest.Server
	nc       *nats.Conn
	consumer jetstream.Consumer
	beats    chan *nats.Msg
	key      ed25519.PrivateKey
	opt      agent.Options
}

func newLab(t testing.TB) *lab {
	t.Helper()
	dir := t.TempDir()
	s := natsdtest.Start(t, cluster, node)
	l := &lab{server: s, beats: make(chan *nats.Msg, 64)}
	l.nc = s.Connect(t, natsdtest.Responder, alert.ResponderInboxPrefix)
	js, err := jetstream.New(l.nc)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: alert.Stream, Subjects: []string{"alerts.*.*.*"}})
	require.NoError(t, err)
	// By default the server forgets a consumer that nobody asks for 5 s: a start may take longer.
	l.consumer, err = stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{InactiveThreshold: time.Hour})
	require.NoError(t, err)
	_, err = l.nc.ChanSubscribe(alert.HeartbeatSubject(cluster, node), l.beats)
	require.NoError(t, err)
	require.NoError(t, l.nc.Flush())

	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	l.key = private
	keyFile := filepath.Join(dir, "responder.pub")
	require.NoError(t, os.WriteFile(keyFile, []byte(base64.StdEncoding.EncodeToString(public)+"\n"), 0o600))
	l.opt = agent.Options{
		Cluster: cluster, Node: node, Version: "test", NATS: s.URL(), NATSKeyFile: s.SeedFile(node), OrderKeyFile: keyFile, DataDir: filepath.Join(dir, "agent"),
	}
	return l
}

// start runs an agent until the returned function is called.
func start(t testing.TB, opt agent.Options) (stop func()) {
	t.Helper()
	a, err := agent.New(opt)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				require.NoError(t, err)
			case <-time.After(20 * time.Second):
				t.Error("the agent does not end")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// next waits for the next alert that is wanted, and checks its envelope.
func (l *lab) next(t testing.TB, want func(*alert.Alert) bool) *alert.Alert {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		m, err := l.consumer.Next(jetstream.FetchMaxWait(time.Second))
		if errors.Is(err, nats.ErrTimeout) {
			continue
		}
		require.NoError(t, err)
		var a alert.Alert
		require.NoError(t, json.Unmarshal(m.Data(), &a))
		require.NoError(t, a.Validate())
		require.Equal(t, alert.Subject(cluster, node, a.Priority), m.Subject())
		require.Equal(t, a.Riposte.MessageID(), m.Headers().Get("Nats-Msg-Id"))
		require.NotEmpty(t, m.Headers().Get(alert.HeaderTrace))
		if want(&a) {
			return &a
		}
	}
	t.Fatal("the alert did not come within 20 s")
	return nil
}

func (l *lab) order(t testing.TB, o order.Order) order.Receipt {
	t.Helper()
	message, err := order.Sign(l.key, o)
	require.NoError(t, err)
	m, err := l.nc.Request(order.Subject(cluster, node), message, 10*time.Second)
	require.NoError(t, err)
	var r order.Receipt
	require.NoError(t, json.Unmarshal(m.Data, &r))
	return r
}

func kill(id string, c *alert.Container) order.Order {
	return order.Order{
		ID: id, Kind: order.Kill, Cluster: cluster, Node: node, Issued: time.Now(), Expires: time.Now().Add(time.Minute),
		Target: order.Target{ContainerID: c.ID, CgroupID: c.CgroupID, StartNS: c.StartNS},
	}
}

func TestARecordingGoesAllTheWayAndIsMarked(t *testing.T) {
	l := newLab(t)
	l.opt.Recording, l.opt.Linger = agent.EmbeddedRecording, true
	stop := start(t, l.opt)
	a := l.next(t, func(a *alert.Alert) bool { return a.Priority == alert.Critical && a.Riposte.Container != nil })
	require.True(t, a.Riposte.Recorded)

	var h alert.Heartbeat
	require.NoError(t, json.Unmarshal((<-l.beats).Data, &h))
	require.Equal(t, "recorded", h.Source)
	require.Equal(t, "test", h.Version)
	require.Equal(t, a.Riposte.BootID, h.BootID)
	require.Equal(t, a.Riposte.Ruleset, h.Ruleset)
	require.Positive(t, h.Rules)

	r := l.order(t, kill("1", a.Riposte.Container))
	require.Equal(t, order.Refused, r.Outcome)
	require.Contains(t, r.Message, "recording")
	stop()
}

func TestARecordingEndsByItself(t *testing.T) {
	var out bytes.Buffer
	a, err := agent.New(agent.Options{Recording: agent.EmbeddedRecording, Output: &out, Encoding: publish.Encoding{Format: publish.JSON}})
	require.NoError(t, err)
	require.NoError(t, a.Run(t.Context()))
	require.Contains(t, out.String(), `"priority":"Critical"`)
	for line := range strings.Lines(out.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

// live skips the test where eBPF or cgroups cannot be used.
func live(t testing.TB) (cgroupRoot string) {
	t.Helper()
	s, err := capture.Open(capture.Options{})
	if err == nil {
		err = s.Close()
	}
	root, rootErr := enrich.CgroupRoot()
	if err := errors.Join(err, rootErr); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return root
}

const shadowRule = `
- rule: Shadow read
  desc: a sensitive file
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow
  output: shadow was read (file=%fd.name command=%proc.cmdline)
  priority: CRITICAL
`

// TestFromSystemCallToKilledContainer is the node's half of the drill.
func TestFromSystemCallToKilledContainer(t *testing.T) {
	root := live(t)
	l := newLab(t)
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(rules, []byte(shadowRule), 0o600))
	l.opt.RuleFiles = []string{rules}
	stop := start(t, l.opt)

	id := strings.Repeat("0123456789abcdef", 4)
	top := filepath.Join(root, fmt.Sprintf("riposte-agent-test-%d", os.Getpid()))
	box := filepath.Join(top, id)
	require.NoError(t, os.MkdirAll(box, 0o755))
	t.Cleanup(func() {
		require.Eventually(t, func() bool { os.Remove(box); return os.Remove(top) == nil }, 10*time.Second, 5*time.Millisecond)
	})
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink("/etc/shadow", link))
	c := exec.Command("sh", "-c", "read go; cat "+link+"; read never")
	in, err := c.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	require.NoError(t, os.WriteFile(filepath.Join(box, "cgroup.procs"), fmt.Appendf(nil, "%d", c.Process.Pid), 0))
	_, err = in.Write([]byte("go\n"))
	require.NoError(t, err)

	a := l.next(t, func(a *alert.Alert) bool { return a.Riposte.Container != nil && a.Riposte.Container.ID == id })
	require.Equal(t, "Shadow read", a.Rule)
	require.False(t, a.Riposte.Recorded)
	require.Equal(t, "/etc/shadow", a.OutputFields["fd.realpath"])
	require.Equal(t, true, a.OutputFields["fd.name_differs"], "a symbolic link does not hide the file")
	require.Equal(t, "cat", a.Riposte.Process.Name)
	require.Equal(t, "sh", a.Riposte.Process.Ancestors[0])
	require.NotZero(t, a.Riposte.Container.StartNS)

	r := l.order(t, kill("1", a.Riposte.Container))
	require.Equal(t, order.Done, r.Outcome, r.Message)
	require.Positive(t, r.Processes)
	require.NotZero(t, r.VerifiedNS)
	require.ErrorContains(t, <-ended, "killed")
	t.Logf("alert %s after the call, killed %s after the order's start",
		time.Duration(a.Riposte.AlertTimeNS-a.Riposte.KernelTimeNS), time.Duration(r.VerifiedNS-r.ExecutedNS))

	stop()
	start(t, l.opt) // a new agent process with the same data
	require.Eventually(t, func() bool {
		_, err := l.nc.Request(order.Subject(cluster, node), nil, 5*time.Second)
		return err == nil
	}, 10*time.Second, time.Millisecond)
	r2 := l.order(t, kill("1", a.Riposte.Container))
	require.True(t, r2.Repeated)
	require.Equal(t, r.ExecutedNS, r2.ExecutedNS)
}

func TestWrongOptionsAreOneClearErrorAndLeaveNothing(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("- rule: x\n  desc: d\n  condition: evt.type = openat and fd.nam = 1\n  output: o\n  priority: ERROR\n"), 0o600))
	junk := filepath.Join(dir, "junk")
	require.NoError(t, os.WriteFile(junk, []byte("hello"), 0o600))
	for name, c := range map[string]struct {
		change func(*agent.Options)
		want   string
	}{
		"nowhere to":       {func(o *agent.Options) { o.NATS, o.OrderKeyFile = "", "" }, "alerts would go nowhere"},
		"no key":           {func(o *agent.Options) { o.NATSKeyFile = "" }, "needs this node's key"},
		"order but no bus": {func(o *agent.Options) { o.NATS, o.Output = "", &bytes.Buffer{} }, "orders come over NATS"},
		"format":           {func(o *agent.Options) { o.Encoding.Format = "xml" }, `unknown output format "xml"`},
		"long name":        {func(o *agent.Options) { o.Node = strings.Repeat("n", 300) }, "longer than 253 bytes"},
		"rules missing":    {func(o *agent.Options) { o.RuleFiles = []string{filepath.Join(dir, "none.yaml")} }, "none.yaml: no such file"},
		"rules wrong":      {func(o *agent.Options) { o.RuleFiles = []string{bad} }, bad + ":3:"},
		"recording":        {func(o *agent.Options) { o.Recording = junk }, junk + ": recording: line 1"},
		"bus key":          {func(o *agent.Options) { o.NATSKeyFile = junk }, "does not hold an nkey seed"},
		"bus address":      {func(o *agent.Options) { o.NATS = "nats" }, `the NATS address "nats"`},
		"order key":        {func(o *agent.Options) { o.OrderKeyFile = junk }, "holds no Ed25519 public key"},
		"kubeconfig":       {func(o *agent.Options) { o.Kubeconfig = filepath.Join(dir, "kube") }, "kube"},
		"data folder":      {func(o *agent.Options) { o.DataDir = junk }, "make the spool"},
	} {
		opt := l.opt
		opt.Recording = agent.EmbeddedRecording
		c.change(&opt)
		_, err := agent.New(opt)
		require.ErrorContains(t, err, c.want, name)
	}
}
