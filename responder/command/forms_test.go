package command

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

// Each form of each list, with what an attacker has named in it.
func TestForms(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 4 {
		e.Add(t, i)
	}
	exec(t, e, `UPDATE alerts SET output = '=HYPERLINK("http://x")' WHERE id = $1`, apitest.AlertID(1))
	exec(t, e, `UPDATE decisions SET result = '{"action":[{"type":"kill_container"},{"type":"notify"}]}' WHERE id = $1`, apitest.DecisionID(3))
	exec(t, e, `INSERT INTO agents VALUES ('test', 'node-0', '0b0c7a2e-1d5f-4a52-9a3c-7d8e9f001122', '{"version":"1.2.3","source":"ebpf","rules":12,"lost":{"ring":3,"queue":0}}', $1)`, apitest.Base)
	e.AddDeadLetter(t, 1)
	data := folder(t, e.URL, apitest.Token)
	for name, line := range map[string]string{
		"alerts_wide":       "alerts list --utc -o wide",
		"alerts_show":       "alerts show a00000000003",
		"alerts_name":       "alerts list -o name",
		"alerts_csv":        "alerts list -o csv",
		"alerts_jsonpath":   `alerts list -o jsonpath={range[*]}{.rule}{"\n"}{end}`,
		"actions_wide":      "actions list --utc -o wide --namespace shop",
		"actions_namespace": "actions list -n nothing",
		"incidents_wide":    "incidents list --utc -o wide --cluster test",
		"decisions_list":    "decisions list --utc",
		"decisions_wide":    "decisions list --utc -o wide --alert a00000000003",
		"decisions_show":    "decisions show d00000000003",
		"agents_list":       "agents list --utc",
		"agents_show":       "agents show node-0",
		"deadletters_csv":   "deadletters list -o csv",
		"playbooks_source":  "playbooks source " + apitest.Playbook,
		"playbooks_show":    "playbooks show " + apitest.Playbook,
		"playbooks_wide":    "playbooks list -o wide",
		"playbooks_name":    "playbooks list -o name",
		"playbooks_csv":     "playbooks list -o csv",
	} {
		t.Run(name, func(t *testing.T) {
			out, errOut, err := run(t, append(strings.Fields(line), "--data", data)...)
			require.NoError(t, err)
			golden(t, name, "$ riposte "+line+"\n"+strings.ReplaceAll(out, "\r\n", "\n")+errOut)
		})
	}
	out, _, err := run(t, "alerts", "list", "-o", "csv", "--data", data)
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 5)
	require.Equal(t, "output", rows[0][len(rows[0])-1])
	require.Equal(t, `'=HYPERLINK("http://x")`, rows[3][len(rows[3])-1])
}

func TestColour(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 2)
	data := folder(t, e.URL, apitest.Token)
	list := func() string {
		out, _, err := run(t, "alerts", "list", "--data", data)
		require.NoError(t, err)
		return out
	}
	t.Setenv("TERM", "xterm")
	require.NotContains(t, list(), "\x1b", "a pipe has none")
	t.Setenv("CLICOLOR_FORCE", "1")
	coloured := list()
	require.Contains(t, coloured, grave+"Critical"+reset)
	t.Setenv("NO_COLOR", "1")
	plain := list()
	require.NotContains(t, plain, "\x1b")
	require.Equal(t, plain, strings.NewReplacer(grave, "", reset, "").Replace(coloured), "colours move nothing")
}
