package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

// decided gives number i a real input and result: the loaded playbook kills a container.
func decided(t *testing.T, e *apitest.Env, i int) {
	t.Helper()
	e.Add(t, i)
	at := apitest.Base.Add(time.Duration(i) * time.Second)
	input := fmt.Sprintf(`{"schema":1,"alert":{"uuid":"%s","time":"%[2]s","rule":"Rule","priority":"Critical","source":"syscall","hostname":"node-0","output":"o","tags":[],`+
		`"output_fields":{},"riposte":{"schema":1,"cluster":"test","node":"node-0","boot_id":"b","seq":1,"container":{"id":"%[3]s","cgroup_id":42,"start_ns":7}}},`+
		`"binding":"none","node":{"name":"node-0"},"cluster":{"name":"test"},"history":[],"now":"%[2]s"}`, apitest.AlertID(i), at.Format(time.RFC3339Nano), apitest.ContainerID(i))
	result := fmt.Sprintf(`{"action":[{"reason":"Critical alert \"Rule\"","target":{"cgroup_id":42,"container_id":"%s","kind":"container","start_ns":7},"type":"kill_container"}]}`, apitest.ContainerID(i))
	exec(t, e, `UPDATE decisions SET input = $2, result = $3 WHERE alert_id = $1`, apitest.AlertID(i), input, result)
}

// longAgo is --since for everything that apitest puts in.
const longAgo = "2026-01-01T00:00:00Z"

func TestPromote(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 12 {
		decided(t, e, i)
	}
	data := folder(t, e.URL, apitest.Token)
	promote := func(args ...string) (string, error) {
		out, _, err := run(t, append([]string{"playbooks", "promote", apitest.Playbook, "--data", data, "--since", longAgo}, args...)...)
		return out, err
	}
	_, _, err := run(t, "playbooks", "demote", apitest.Playbook, "--data", data, "--reason", "to begin with")
	require.NoError(t, err)

	_, err = promote()
	require.EqualError(t, err, "there is no terminal to ask on: say --yes to do it without asking")
	out, err := promote("--yes")
	require.NoError(t, err)
	require.Contains(t, out, "12 decisions about 12 alerts")
	require.Regexp(t, `(?m)^  asked about +[0-9]+ +12$`, out, "it shows what the new step would do")
	require.Contains(t, out, apitest.Playbook+": observe → approve.\n")

	_, err = promote("--yes")
	require.EqualError(t, err, "a canary needs --canary-namespace or --canary-label; to do without one, say --to enforce")
	out, err = promote("--yes", "--canary-namespace", "staging", "--reason", "INC-7")
	require.NoError(t, err)
	require.Regexp(t, `(?m)^  observed +[0-9]+ +12$`, out, "nothing is in that namespace")
	require.Contains(t, out, ": approve → canary, for namespace staging alone.\n")
	out, _, err = run(t, "playbooks", "list", "--data", data)
	require.NoError(t, err)
	require.Contains(t, out, "only namespace staging; INC-7")
	out, err = promote("--yes")
	require.NoError(t, err)
	require.Contains(t, out, ": canary → enforce.\n")
	require.Regexp(t, `(?m)^  done +[0-9]+ +10$`, out)
	require.Contains(t, out, "the budget of playbook "+apitest.Playbook+" is used up: 10 in 10m0s")
	_, err = promote("--yes")
	require.ErrorContains(t, err, "enforces already")
	_, err = promote("--yes", "--to", "approve")
	require.ErrorContains(t, err, "is at enforce already")

	out, _, err = run(t, "playbooks", "demote", apitest.Playbook, "--data", data, "--to", "approve")
	require.NoError(t, err)
	require.Equal(t, "Playbook "+apitest.Playbook+" is in mode approve.\n", out)
	out, _, err = run(t, "audit", "list", "--kind", "playbook.mode", "-o", "json", "--data", data)
	require.NoError(t, err)
	var entries []struct{ Result, Actor string }
	require.NoError(t, json.Unmarshal([]byte(out), &entries))
	var said []string
	for _, x := range entries {
		require.Equal(t, "user:token", x.Actor)
		said = append(said, x.Result)
	}
	require.Equal(t, []string{"approve", "enforce", "enforce", "approve", "observe"}, said)

	_, _, err = run(t, "playbooks", "promote", "nobody", "--yes", "--data", data)
	require.EqualError(t, err, `no playbook is called "nobody"`)
	out, err = promote("--yes", "--to", "enforce", "--since", "1h")
	require.NoError(t, err)
	require.Contains(t, out, "was asked about nothing since", "old decisions are none of the last hour")
}

// A person at a terminal is asked, and no answer but yes means yes.
func TestPromoteAsks(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	data := folder(t, e.URL, apitest.Token)
	for _, answer := range []string{"n", "", "y"} {
		_, _, err := run(t, "playbooks", "demote", apitest.Playbook, "--data", data)
		require.NoError(t, err)
		person, line := terminal(t)
		_, err = io.WriteString(person, answer+"\n")
		require.NoError(t, err)
		c := NewPlaybooks()
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetIn(line)
		c.SetOut(io.Discard)
		c.SetErr(io.Discard)
		c.SetArgs([]string{"promote", apitest.Playbook, "--data", data})
		err = c.ExecuteContext(t.Context())
		out, _, lerr := run(t, "playbooks", "list", "--data", data)
		require.NoError(t, lerr)
		if answer == "y" {
			require.NoError(t, err)
			require.Contains(t, out, "approve")
			continue
		}
		require.EqualError(t, err, "nothing was changed")
		require.NotContains(t, out, "approve")
	}
}

// terminal is a new one: what is written to person is what is typed on line.
func terminal(t *testing.T) (person, line *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { person.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	line, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { line.Close() })
	return person, line
}

func TestPlaybooksOfTheAPI(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	decided(t, e, 1)
	data := folder(t, e.URL, apitest.Token)
	id := apitest.AlertID(1)
	dir := filepath.Join(t.TempDir(), "books")

	_, _, err := run(t, "playbooks", "new", "web", "--from-alert", id[len(id)-12:], "--dir", dir, "--data", data)
	require.NoError(t, err)
	fixture, err := os.ReadFile(filepath.Join(dir, "web.json"))
	require.NoError(t, err)
	require.Contains(t, string(fixture), `"binding": "none"`)
	for _, line := range [][]string{{"check", dir}, {"fmt", "--check", dir}, {"test", dir}} {
		_, errOut, err := run(t, append([]string{"playbooks"}, line...)...)
		require.NoError(t, err, "%v: %s", line, errOut)
	}

	out, _, err := run(t, "playbooks", "eval", "--alert", id, "--data", data, dir)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^web +observe +kill_container .* observe by mode-observe`, out)
	out, _, err = run(t, "playbooks", "explain", "--alert", id, "--data", data, dir)
	require.NoError(t, err)
	require.Contains(t, out, "web: proposes 1 action in mode observe\n")

	out, _, err = run(t, "playbooks", "replay", "--since", longAgo, "--data", data, dir)
	require.NoError(t, err)
	require.Contains(t, out, "1 added, 0 removed, 0 changed")
	require.Contains(t, out, "Not compared: 1 decision of other playbooks: "+apitest.Playbook)
	out, _, err = run(t, "playbooks", "replay", "--since", longAgo, "--max-changed", "0", "--data", data, "--playbook", apitest.Playbook)
	require.NoError(t, err)
	require.Contains(t, out, "no difference", "it is what comes with Riposte")

	_, _, err = run(t, "playbooks", "eval", "--alert", "000000000000", "--data", data)
	require.ErrorContains(t, err, "no alert has the id")
	out, _, err = run(t, "__complete", "playbooks", "promote", "--data", data, "")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(out, apitest.Playbook+"\tenforce: "), out)
}
