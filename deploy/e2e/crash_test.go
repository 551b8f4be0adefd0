package e2e_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"riposte/agent"
	"riposte/deploy/e2e/role"
	"riposte/deploy/standalone"
	"riposte/deploy/standalone/child"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/deploy/standalone/postgres"
	"riposte/deploy/standalone/sandbox"
	"riposte/responder/api/client"
)

// parts is Riposte with its responder in a process of its own, to be killed.
type parts struct {
	data   *standalone.Data
	db     *postgres.Server
	bus    *natsdtest.Server
	client *client.Client
	listen string
}

// TestKillingTheResponder kills the responder with SIGKILL at each point between
// a decision and its record. A trigger in the database holds it there: the
// product knows nothing of the test.
func TestKillingTheResponder(t *testing.T) {
	for _, point := range []struct{ name, state string }{
		{"after the decision, before the effect", "executing"},
		{"after the effect, before its record", "succeeded"},
	} {
		t.Run(point.name, func(t *testing.T) {
			p := startParts(t)
			responder := p.startResponder(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			db, err := pgx.Connect(ctx, p.db.URL())
			require.NoError(t, err)
			defer db.Close(context.Background())
			release := hold(ctx, t, db, point.state)

			box, err := sandbox.Start(sandbox.Options{Root: cgroupRoot(t), Cgroup: sandbox.Drills})
			require.NoError(t, err)
			defer func() { require.NoError(t, box.Close()) }()
			require.NoError(t, box.Type(standalone.Attack))
			awaitHeld(ctx, t, db)
			require.NoError(t, responder.Kill())
			<-responder.Exited()
			if point.state == "executing" {
				n, err := box.Processes()
				require.NoError(t, err)
				require.Equal(t, 1, n, "nothing has happened to the container yet")
			}
			release()

			p.startResponder(t)
			var action string
			require.Eventually(t, func() bool {
				actions, err := p.client.Actions(ctx, client.ActionFilter{Container: box.ID, Type: "kill_container"})
				if err != nil || len(actions.Items) == 0 {
					return false
				}
				action = actions.Items[0].ID
				return actions.Items[0].VerifiedAt != nil
			}, 30*time.Second, 20*time.Millisecond, "the restarted responder finishes what was decided")
			<-box.Exited()
			require.True(t, box.Killed())
			requireOnce(ctx, t, p, db, box.ID, action)
		})
	}
}

// requireOnce looks for a second effect or a second record of it.
func requireOnce(ctx context.Context, t *testing.T, p *parts, db *pgx.Conn, container, action string) {
	t.Helper()
	var effects int
	require.NoError(t, db.QueryRow(ctx, "SELECT count(*) FROM actions WHERE target->>'container_id' = $1 AND state = 'succeeded'", container).Scan(&effects))
	require.Equal(t, 1, effects)
	record, err := p.client.Audit(ctx, client.AuditFilter{Action: action})
	require.NoError(t, err)
	count := map[string]int{}
	for _, entry := range record.Items {
		count[entry.Kind]++
	}
	require.Equal(t, map[string]int{"action.intent": 1, "action.result": 1, "action.verified": 1}, count)
	verification, err := p.client.Verify(ctx)
	require.NoError(t, err)
	require.True(t, verification.OK)
}

// hold makes every change of an action to state wait until release is called or
// its session ends.
func hold(ctx context.Context, t *testing.T, db *pgx.Conn, state string) (release func()) {
	t.Helper()
	_, err := db.Exec(ctx, `SELECT pg_advisory_lock(4711);
		CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$;
		CREATE TRIGGER hold BEFORE UPDATE ON actions FOR EACH ROW WHEN (OLD.state <> NEW.state AND NEW.state = '`+state+`') EXECUTE FUNCTION hold();`)
	require.NoError(t, err)
	return func() {
		// The killed responder's session may still stand in the queue: end it, or it would go on.
		_, err := db.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'")
		require.NoError(t, err)
		_, err = db.Exec(ctx, "SELECT pg_advisory_unlock(4711); DROP TRIGGER hold ON actions; DROP FUNCTION hold();")
		require.NoError(t, err)
	}
}

func awaitHeld(ctx context.Context, t *testing.T, db *pgx.Conn) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waiting int
		err := db.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'").Scan(&waiting)
		return err == nil && waiting > 0
	}, 30*time.Second, 10*time.Millisecond, "the responder comes to the point where it is held")
}

func startParts(t *testing.T) *parts {
	t.Helper()
	needRoot(t)
	binary(t)
	dir := dataDir(t)
	data, err := standalone.OpenData(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, data.Close()) })
	p := &parts{data: data, listen: freeAddress(t)}
	p.db, err = postgres.Start(t.Context(), postgres.Options{Dir: data.Path("postgres"), Throwaway: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.db.Stop() })

	_, orderPublic, err := data.OrderKey()
	require.NoError(t, err)
	_, err = data.Token()
	require.NoError(t, err)
	p.bus = natsdtest.Start(t, "c", "n")
	token, err := os.ReadFile(data.Path("token"))
	require.NoError(t, err)
	p.client, err = client.New("http://"+p.listen, strings.TrimSpace(string(token)))
	require.NoError(t, err)
	t.Cleanup(p.client.Close)

	a, err := agent.New(agent.Options{
		Cluster: "c", Node: "n", NATS: p.bus.URL(), NATSKeyFile: p.bus.SeedFile("n"), OrderKeyFile: orderPublic, DataDir: data.Path("agent"),
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-done) })
	return p
}

// startResponder starts the real program and waits until it is ready.
func (p *parts) startResponder(t *testing.T) *child.Process {
	t.Helper()
	cmd := exec.Command(binary(t), "responder", "--cluster", "c", "--instance", "one", "--listen", p.listen, "--nats", p.bus.URL(),
		"--nats-key", p.bus.SeedFile(natsdtest.Responder), "--order-key", p.data.Path("keys", "order.key"), "--token-file", p.data.Path("token"),
		"--kill-switch-file", p.data.Path("kill-switch"), "--database", p.db.URL())
	log, err := os.OpenFile(filepath.Join(p.data.Path(), "responder.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	process, err := child.Start(cmd, syscall.SIGKILL)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = process.Kill()
		<-process.Exited()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the responder's log:\n%s", text)
		}
	})
	require.Eventually(t, func() bool { return role.Ready(p.listen) }, 30*time.Second, 20*time.Millisecond, "the responder is ready")
	return process
}

// jsonLine decodes the last line of a program's output.
func jsonLine(t *testing.T, out string, into any) {
	t.Helper()
	out = strings.TrimSpace(out)
	last := out[strings.LastIndexByte(out, '\n')+1:]
	require.NoError(t, json.Unmarshal([]byte(last), into), last)
}
