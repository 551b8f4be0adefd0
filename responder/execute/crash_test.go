package execute_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// childURL is set for a child process: the database it executes actions of.
const childURL = "RIPOSTE_EXECUTE_TEST_DATABASE"

// holdKey is the advisory lock at which a child is held: the test has it, the
// triggers want it.
const holdKey = 20_170_911

// world is what the test's action changes: an object that can be ended once,
// and how often that was tried.
const world = `
	CREATE TABLE world (uid text PRIMARY KEY, alive boolean NOT NULL, ended integer NOT NULL DEFAULT 0);
	CREATE TABLE calls (uid text NOT NULL);
	CREATE TABLE undos (uid text NOT NULL);
	CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_advisory_xact_lock_shared(20170911);
		RETURN NEW;
	END
	$$;`

// points are where a child is held.
var points = map[string]string{
	"claim":  `CREATE TRIGGER a_hold BEFORE UPDATE ON actions FOR EACH ROW WHEN (NEW.state = 'executing' AND OLD.state = 'planned') EXECUTE FUNCTION hold()`,
	"effect": `CREATE TRIGGER a_hold BEFORE UPDATE ON world FOR EACH ROW EXECUTE FUNCTION hold()`,
	"record": `CREATE TRIGGER a_hold BEFORE UPDATE ON actions FOR EACH ROW WHEN (NEW.state = 'succeeded') EXECUTE FUNCTION hold()`,
	"lift":   `CREATE TRIGGER a_hold BEFORE UPDATE ON actions FOR EACH ROW WHEN (NEW.lifted_ns IS NOT NULL) EXECUTE FUNCTION hold()`,
}

// runChild is a responder reduced to its executor. It runs until it is killed.
func runChild(url string) {
	ctx := context.Background()
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	s, err := store.Open(ctx, url)
	if err != nil {
		fail(err)
	}
	e, err := execute.New(execute.Options{
		Pool: s.Pool(), Registry: action.NewRegistry(endObject(s)), Gate: &gate{}, Instance: "responder-0", Log: slog.New(slog.NewTextHandler(logTo, nil)),
	})
	if err != nil {
		fail(err)
	}
	if err := e.Start(ctx); err != nil {
		fail(err)
	}
	fmt.Println("started")
	select {}
}

// endObject ends an object with its identity as the precondition; its undo brings the
// object back.
func endObject(s *store.Store) action.Action {
	a := touch(func(ctx context.Context, r action.Request) (action.Result, error) {
		if _, err := s.Pool().Exec(ctx, `INSERT INTO calls VALUES ($1)`, r.Target.ContainerID); err != nil {
			return action.Result{}, err
		}
		tag, err := s.Pool().Exec(ctx, `UPDATE world SET alive = false, ended = ended + 1 WHERE uid = $1 AND alive`, r.Target.ContainerID)
		if err != nil {
			return action.Result{}, err
		}
		now := time.Now()
		if tag.RowsAffected() == 0 {
			return action.Result{Note: "gone already", ExecutedAt: now, VerifiedAt: now}, nil
		}
		return action.Result{Note: "ended", ExecutedAt: now, VerifiedAt: now}, nil
	})
	return undoable{a, func(ctx context.Context, r action.Request) (action.Result, error) {
		if _, err := s.Pool().Exec(ctx, `INSERT INTO undos VALUES ($1)`, r.Target.ContainerID); err != nil {
			return action.Result{}, err
		}
		tag, err := s.Pool().Exec(ctx, `UPDATE world SET alive = true WHERE uid = $1 AND NOT alive`, r.Target.ContainerID)
		if err == nil && tag.RowsAffected() == 0 {
			return action.Result{Note: "back already"}, nil
		}
		return action.Result{Note: "brought back"}, err
	}}
}

// child starts a process and waits until its executor runs.
func child(t *testing.T, url string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+url)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { kill(cmd) })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started\n", line)
	return cmd
}

func kill(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill() // SIGKILL: nothing is cleaned up
		_ = cmd.Wait()
	}
}

// TestKilledExecutorCausesOneEffect kills a responder with SIGKILL at each
// point, starts it again, and counts effects and records.
//
// A killed process leaves a server process behind that is in the middle of a
// statement. What it does then is part of the case: the statement is lost, or it
// is completed by nobody's order.
func TestKilledExecutorCausesOneEffect(t *testing.T) {
	for name, c := range map[string]struct {
		point    string
		lost     bool
		calls    int
		attempts int
		note     string
	}{
		"before the claim":                           {point: "claim", lost: true, calls: 1, attempts: 1, note: "ended"},
		"as the claim is made":                       {point: "claim", lost: false, calls: 1, attempts: 2, note: "ended"},
		"after the claim, before the effect":         {point: "effect", lost: true, calls: 2, attempts: 2, note: "ended"},
		"as the effect happens":                      {point: "effect", lost: false, calls: 2, attempts: 2, note: "gone already"},
		"after the effect, before the record":        {point: "record", lost: true, calls: 2, attempts: 2, note: "gone already"},
		"after the effect, as the record is written": {point: "record", lost: false, calls: 2, attempts: 2, note: "gone already"},
	} {
		t.Run(name, func(t *testing.T) {
			url := storetest.URL(t)
			s, holder := stopAt(t, url, c.point)
			victim := child(t, url)
			id := planned(t, s, func(p *plan) {
				_, err := s.Pool().Exec(t.Context(), `INSERT INTO world (uid, alive) VALUES ($1, true)`, p.id)
				require.NoError(t, err)
			})
			backend := held(t, s)
			kill(victim)

			if c.lost {
				_, err := s.Pool().Exec(t.Context(), `SELECT pg_terminate_backend($1, 10000)`, backend)
				require.NoError(t, err)
			}
			begin := time.Now()
			child(t, url)
			_, err := holder.Exec(t.Context(), `SELECT pg_advisory_unlock($1)`, holdKey)
			require.NoError(t, err)

			r := ended(t, s, id)
			require.Less(t, time.Since(begin), 8*time.Second, "the lease runs for 20 s: the restarted process must not wait for it")
			t.Logf("taken up and recorded %s after the restart", time.Since(begin).Round(time.Millisecond))
			require.Equal(t, "succeeded", r.State)
			require.Equal(t, c.note, r.Note)
			require.Equal(t, c.attempts, r.Attempts)
			require.NotNil(t, r.Verified)
			var endedTimes, calls int
			require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT ended, (SELECT count(*) FROM calls) FROM world WHERE uid = $1`, id).Scan(&endedTimes, &calls))
			require.Equal(t, 1, endedTimes)
			require.Equal(t, c.calls, calls)
			require.Equal(t, []string{"action.intent planned", "action.result succeeded", "action.verified verified"}, record(t, s, id))
		})
	}
}

// TestKilledExecutorLiftsOnce kills a responder with SIGKILL between an undo and its
// record. The undo is repeated, and finds nothing left; the record is written once.
func TestKilledExecutorLiftsOnce(t *testing.T) {
	for name, c := range map[string]struct {
		lost  bool
		note  string
		undos int
	}{
		"after the undo, before the record":        {lost: true, note: "back already", undos: 2},
		"after the undo, as the record is written": {lost: false, note: "back already", undos: 2},
	} {
		t.Run(name, func(t *testing.T) {
			url := storetest.URL(t)
			s, holder := stopAt(t, url, "lift")
			victim := child(t, url)
			id := planned(t, s, func(p *plan) {
				p.ttl = time.Nanosecond
				_, err := s.Pool().Exec(t.Context(), `INSERT INTO world (uid, alive) VALUES ($1, true)`, p.id)
				require.NoError(t, err)
			})
			backend := held(t, s)
			kill(victim)
			if c.lost {
				_, err := s.Pool().Exec(t.Context(), `SELECT pg_terminate_backend($1, 10000)`, backend)
				require.NoError(t, err)
			}
			child(t, url)
			_, err := holder.Exec(t.Context(), `SELECT pg_advisory_unlock($1)`, holdKey)
			require.NoError(t, err)
			l := awaitLift(t, s, id, isLifted)
			require.Equal(t, c.note, l.Note)
			var undos int
			var alive bool
			require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT alive, (SELECT count(*) FROM undos) FROM world WHERE uid = $1`, id).Scan(&alive, &undos))
			require.True(t, alive)
			require.Equal(t, c.undos, undos)
			require.Equal(t, []string{"action.lifted lifted system:execute its time was over"}, liftEntries(t, s, id))
			record(t, s, id) // the chain verifies
		})
	}
}

// stopAt makes a database in which executors are held at a point, until holder lets go.
func stopAt(t *testing.T, url, point string) (s *store.Store, holder *pgx.Conn) {
	t.Helper()
	s, err := store.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	for _, sql := range []string{world, points[point]} {
		_, err := s.Pool().Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	holder, err = pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = holder.Close(context.Background()) })
	_, err = holder.Exec(t.Context(), `SELECT pg_advisory_lock($1)`, holdKey)
	require.NoError(t, err)
	return s, holder
}

// held waits until a server process waits at the point, and returns its number.
func held(t *testing.T, s *store.Store) (pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		err := s.Pool().QueryRow(t.Context(), `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted`, holdKey).Scan(&pid)
		return err == nil
	}, patience, 5*time.Millisecond, "nobody came to the point")
	return pid
}
