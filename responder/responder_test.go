package responder_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/agent/alert"
	"riposte/agent/order"
	"riposte/responder"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

const patience = 60 * time.Second

func TestAlertBecomesAnOrderAndARecord(t *testing.T) {
	r := newRig(t)
	_, c := r.run(t)
	orders := r.obey(t)
	r.send(t, critical(1, "c1"))

	var o order.Order
	select {
	case o = <-orders:
	case <-time.After(patience):
		p, err := c.Actions(t.Context(), client.ActionFilter{})
		t.Fatalf("no order came; actions %+v, %v", p.Items, err)
	}
	require.Equal(t, order.Kill, o.Kind)
	require.Equal(t, order.Target{ContainerID: "c1", CgroupID: 42, StartNS: 7}, o.Target)

	var line api.Timeline
	require.Eventually(t, func() bool {
		p, err := c.Actions(t.Context(), client.ActionFilter{Container: "c1"})
		require.NoError(t, err)
		if len(p.Items) == 0 {
			return false
		}
		require.Equal(t, killer, p.Items[0].Playbook)
		line, err = c.Timeline(t.Context(), p.Items[0].ID)
		require.NoError(t, err)
		return line.Verified && len(line.Stages) == 7
	}, patience, 10*time.Millisecond, "the timeline was never whole")
	var names []string
	for i, s := range line.Stages {
		names = append(names, s.Name)
		if i > 0 && s.Name != "verified" { // the stand-in's clock adds one nanosecond
			require.GreaterOrEqual(t, s.NS, int64(0))
		}
	}
	require.Equal(t, []string{"syscall", "alert", "received", "decided", "executed", "verified", "audited"}, names)

	v, err := c.Verify(t.Context())
	require.NoError(t, err)
	require.True(t, v.OK, v.Chains)
}

func TestHeartbeatShowsInTheStatus(t *testing.T) {
	r := newRig(t)
	_, c := r.run(t)
	b, err := json.Marshal(alert.Heartbeat{Cluster: cluster, Node: node, BootID: boot, Version: "1.2.3", Source: "ebpf", Rules: 12})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		require.NoError(t, r.node.Publish(alert.HeartbeatSubject(cluster, node), b))
		s, err := c.Status(t.Context())
		require.NoError(t, err)
		return len(s.Agents) == 1 && s.Agents[0].Rules == 12
	}, patience, 20*time.Millisecond)
	s, err := c.Status(t.Context())
	require.NoError(t, err)
	var names []string
	for _, p := range s.Playbooks {
		names = append(names, p.Name)
	}
	require.Contains(t, names, killer)
}

// A playbook asks for delete_pod where there is no cluster.
func TestAnActionThatCannotBeDoneIsRefused(t *testing.T) {
	r := newRig(t)
	r.options.PlaybookDir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(r.options.PlaybookDir, "p.rego"), []byte(`# METADATA
# scope: package
# title: Cordon the node
# description: Asks for what nobody can do.
# custom:
#   owner: tests
#   severity: high
#   trigger: {priority: critical}
#   mode: enforce
package playbooks.cordon_it

action contains {
	"type": "cordon_node",
	"target": {"kind": "container", "container_id": c.id, "cgroup_id": c.cgroup_id, "start_ns": c.start_ns},
	"reason": "test",
} if c := input.alert.riposte.container
`), 0o600))
	_, c := r.run(t)
	r.obey(t)
	r.send(t, critical(1, "c1"))
	require.Eventually(t, func() bool {
		p, err := c.Actions(t.Context(), client.ActionFilter{Playbook: "cordon_it"})
		require.NoError(t, err)
		if len(p.Items) == 0 {
			return false
		}
		require.Equal(t, "refused", p.Items[0].State)
		require.Contains(t, p.Items[0].Note, "cordon_node")
		return true
	}, patience, 10*time.Millisecond)
}

func TestKillSwitchHoldsWhatIsDecided(t *testing.T) {
	r := newRig(t)
	_, c := r.run(t)
	orders := r.obey(t)
	_, err := c.SetKillSwitch(t.Context(), api.KillSwitch{On: true, Reason: "maintenance"})
	require.NoError(t, err)
	r.send(t, critical(1, "c1"))
	var got api.Action
	require.Eventually(t, func() bool {
		p, err := c.Actions(t.Context(), client.ActionFilter{})
		require.NoError(t, err)
		if len(p.Items) > 0 {
			got = p.Items[0]
		}
		return len(p.Items) > 0
	}, patience, 10*time.Millisecond)
	require.Equal(t, "refused", got.State)
	require.Equal(t, "kill-switch", got.RefusedBy)
	require.Contains(t, got.Note, "maintenance")

	_, err = c.SetKillSwitch(t.Context(), api.KillSwitch{On: false})
	require.NoError(t, err)
	r.send(t, critical(2, "c2"))
	select {
	case o := <-orders:
		require.Equal(t, "c2", o.Target.ContainerID)
	case <-time.After(patience):
		t.Fatal("no order after the switch was off")
	}
}

func TestStartsAndStopsTwice(t *testing.T) {
	r := newRig(t)
	r.settle(t)
	before := goleak.IgnoreCurrent()
	for i := range 2 {
		one, err := responder.New(r.options)
		require.NoError(t, err)
		require.NoError(t, one.Start(t.Context()))
		require.ErrorContains(t, one.Start(t.Context()), "started before")
		res, err := http.Get("http://" + one.Addr() + "/readyz")
		require.NoError(t, err)
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, "ok\n", string(body), "run %d", i)
		stop(t, one)
		stop(t, one)
		_, err = net.Dial("tcp", one.Addr())
		require.Error(t, err)
		select {
		case err := <-one.Failed():
			t.Fatalf("a part ended by itself: %v", err)
		default:
		}
	}
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, before)

	// The record tells of both runs.
	_, c := r.run(t)
	for kind, want := range map[string]int{"startup": 4, "shutdown": 3} {
		p, err := c.Audit(t.Context(), client.AuditFilter{Kind: kind})
		require.NoError(t, err)
		require.Len(t, p.Items, want, kind)
	}
}

// Whatever is wrong, there is one error that names it, and nothing stays behind.
func TestStartFails(t *testing.T) {
	r := newRig(t)
	r.settle(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer busy.Close()
	for name, tc := range map[string]struct {
		edit func(*responder.Options)
		says string
	}{
		"busy port":       {func(o *responder.Options) { o.Listen = busy.Addr().String() }, "cannot listen on " + busy.Addr().String()},
		"no such address": {func(o *responder.Options) { o.Listen = "nonsense" }, "cannot listen on nonsense"},
		"no database":     {func(o *responder.Options) { o.DatabaseURL = "postgres://127.0.0.1:1/x?connect_timeout=2" }, "connect"},
		"no NATS":         {func(o *responder.Options) { o.NATS = "nats://127.0.0.1:1" }, "connect to NATS at nats://127.0.0.1:1"},
		"kubeconfig":      {func(o *responder.Options) { o.Kubeconfig = "/nowhere/kubeconfig" }, "/nowhere/kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			o := r.options
			tc.edit(&o)
			one, err := responder.New(o)
			require.NoError(t, err)
			err = one.Start(t.Context())
			require.ErrorContains(t, err, tc.says)
			require.NotContains(t, err.Error(), "\n", "one line")
			goleak.VerifyNone(t, before)
			stop(t, one)
		})
	}
	// After all these the same options still work: nothing holds the port or a lock.
	r.run(t)
}

func TestNewRefusesBadFiles(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	for name, tc := range map[string]struct {
		edit func(*responder.Options)
		says string
	}{
		"nothing given":     {func(o *responder.Options) { *o = responder.Options{} }, "needs a database URL"},
		"no token file":     {func(o *responder.Options) { o.TokenFile = dir + "/gone" }, "gone"},
		"empty token":       {func(o *responder.Options) { o.TokenFile = file("empty", "\n", 0o600) }, "is empty"},
		"short token":       {func(o *responder.Options) { o.TokenFile = file("short", "abc", 0o600) }, "at least 16"},
		"token of lines":    {func(o *responder.Options) { o.TokenFile = file("lines", "0123456789abcdef\nx", 0o600) }, "one word"},
		"readable token":    {func(o *responder.Options) { o.TokenFile = file("open", token, 0o644) }, "chmod o-rwx"},
		"order key no PEM":  {func(o *responder.Options) { o.OrderKeyFile = file("key", "abc", 0o600) }, "no PEM private key"},
		"large key":         {func(o *responder.Options) { o.OrderKeyFile = file("large", strings.Repeat("x", 70<<10), 0o600) }, "more than"},
		"no playbooks":      {func(o *responder.Options) { o.PlaybookDir = dir + "/none" }, "none"},
		"guard rules":       {func(o *responder.Options) { o.GuardPolicyDir = dir + "/norules" }, "norules"},
		"no signer":         {func(o *responder.Options) { o.Bundle = "/b.tar.gz" }, "a bundle needs the file of the public key"},
		"both":              {func(o *responder.Options) { o.Bundle, o.BundleKeyFile, o.BundleUnsigned = "/b.tar.gz", "/k", true }, "one of the two"},
		"no bundle":         {func(o *responder.Options) { o.BundleTokenFile = "/t" }, "and no bundle"},
		"bundle key":        {func(o *responder.Options) { o.Bundle, o.BundleKeyFile = "/b.tar.gz", file("pub", "abc", 0o600) }, "no PEM public key"},
		"bundle file":       {func(o *responder.Options) { o.Bundle, o.BundleUnsigned = dir+"/b.tar.gz", true }, "b.tar.gz: no such file"},
		"bundle server":     {func(o *responder.Options) { o.Bundle, o.BundleUnsigned = "http://127.0.0.1:1/b", true }, "fetch the bundle: dial tcp 127.0.0.1:1"},
		"bundle address":    {func(o *responder.Options) { o.Bundle, o.BundleUnsigned = "ftp://x", true }, "no http(s) URL"},
		"NATS key is a dir": {func(o *responder.Options) { o.NATSKeyFile = t.TempDir() }, "NATS key"},
	} {
		t.Run(name, func(t *testing.T) {
			o := r.options
			tc.edit(&o)
			_, err := responder.New(o)
			require.ErrorContains(t, err, tc.says)
		})
	}
}
