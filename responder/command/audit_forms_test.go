package command

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

// A spreadsheet must calculate nothing of what an attacker has named, and nothing must
// be lost by that.
func TestCSVHoldsNoFormulas(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "": "", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": `'\x09=1`, "\r=1": `'\x0d=1`, "\n=1": `'\x0a=1`,
		"a=1": "a=1", `=cmd|' /C calc'!A0`: `'=cmd|' /C calc'!A0`, "\x1b[2J": `\x1b[2J`,
	} {
		require.Equal(t, want, harmless(in), "%q", in)
	}
	var out bytes.Buffer
	w, err := newTable(&out, "a", "b")
	require.NoError(t, err)
	require.NoError(t, w.row(`="x",y`, "two\nlines"))
	require.NoError(t, w.end())
	rows, err := csv.NewReader(&out).ReadAll()
	require.NoError(t, err)
	require.Equal(t, [][]string{{"a", "b"}, {`'="x",y`, `two\x0alines`}}, rows)
}

func TestFormsOfTheRecord(t *testing.T) {
	t.Chdir(t.TempDir())
	e := apitest.Start(t, storetest.New(t))
	for i := range 4 {
		e.Add(t, i)
	}
	data := folder(t, e.URL, apitest.Token)
	ocsf, _, err := run(t, "audit", "query", "--limit", "3", "-o", "ocsf", "--data", data)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(ocsf), "\n")
	require.Len(t, lines, 3)
	for _, l := range lines {
		var v struct {
			ClassUID int `json:"class_uid"`
			Message  string
		}
		require.NoError(t, json.Unmarshal([]byte(l), &v))
		require.Equal(t, 7001, v.ClassUID)
		require.Equal(t, "a shell in a container", v.Message)
		require.NotContains(t, l, "\u202e", "hidden characters are escapes")
	}

	exec(t, e, `UPDATE alerts SET body = $1 WHERE id = $2`, `{"time":"2026-03-01T12:00:00Z","rule":"Shell","priority":"Critical","output":"a \u202e shell","riposte":{"node":"n","process":{"pid":7,"name":"sh","exe":"sh","ancestors":["nginx"]}}}`, apitest.AlertID(3))
	ocsf, _, err = run(t, "alerts", "list", "--limit", "2", "-o", "ocsf", "--data", data)
	require.NoError(t, err)
	first, second, _ := strings.Cut(ocsf, "\n")
	for line, severity := range map[string]string{first: `"severity":"Critical"`, second: `"severity":"Critical"`} {
		require.Contains(t, line, `"class_uid":2004`)
		require.Contains(t, line, severity)
	}
	require.Contains(t, first, `"parent_process":{"name":"nginx"}`)
	require.NotContains(t, ocsf, "\u202e")

	// The export, as it comes and of a file, says the same in each form.
	export, _, err := run(t, "audit", "export", "--data", data)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("export.jsonl", []byte(export), 0o600))
	for _, form := range []string{"csv", "ocsf"} {
		online, _, err := run(t, "audit", "export", "-o", form, "--data", data)
		require.NoError(t, err)
		offline, _, err := run(t, "audit", "export", "-o", form, "--file", "export.jsonl")
		require.NoError(t, err)
		require.Equal(t, online, offline)
	}
	table, _, err := run(t, "audit", "export", "-o", "csv", "--data", data)
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 9)
	require.Equal(t, "cart-3", rows[8][13])
	require.Equal(t, "a shell in a container", rows[8][20])

	for line, want := range map[string]string{
		"audit query -o xml":                       "use table, json, yaml, jsonpath=, csv, name, ocsf, wide",
		"audit query -o csv --watch":               "--watch writes rows as they come",
		"audit query --watch --text x":             "leave --watch out",
		"audit query --until yesterday":            "--until:",
		"audit query --revision 0123":              "first 12 digits",
		"audit stats --by node":                    "counted by day, cluster",
		"audit export -o xml":                      "use ndjson, csv or ocsf",
		"audit export --after 3":                   "--after needs --cluster",
		"audit export --file export.jsonl":         "is an export already",
		"audit export --file none.jsonl -o csv":    "none.jsonl",
		"audit show nothing":                       "an id is a UUID",
		"audit export --file - -o ocsf --to 3":     "--to needs --after",
		"audit show c99999999999 --data elsewhere": "elsewhere",
	} {
		args := strings.Fields(line)
		if !strings.Contains(line, "--data") {
			args = append(args, "--data", data)
		}
		_, _, err := run(t, args...)
		require.ErrorContains(t, err, want, line)
	}
}

// torn is a reader that breaks.
type torn struct {
	from io.Reader
	left int
}

func (r *torn) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, errors.New("the cable was pulled")
	}
	n, err := r.from.Read(b[:min(len(b), r.left)])
	r.left -= n
	return n, err
}

// Wherever an export breaks off, what was written are whole lines, and what the error
// says writes the rest.
func TestAnExportThatBreaksOffGoesOn(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 3 {
		e.Add(t, i)
	}
	data := folder(t, e.URL, apitest.Token)
	whole, _, err := run(t, "audit", "export", "--data", data)
	require.NoError(t, err)
	e.Add(t, 3) // what comes later is not part of it
	begin := strings.Index(whole, `{"entry"`)
	begin += strings.IndexByte(whole[begin:], '\n') + 1
	for _, at := range []int{begin, begin + 1, (begin + len(whole)) / 2, len(whole) - 1} {
		var out bytes.Buffer
		err := (&exporting{}).copy(&torn{strings.NewReader(whole), at}, &out)
		require.ErrorContains(t, err, "the cable was pulled")
		require.True(t, strings.HasSuffix(out.String(), "\n"))
		_, command, ok := strings.Cut(err.Error(), "append the rest with: riposte ")
		require.True(t, ok, err)
		command, _, _ = strings.Cut(command, ", and then")
		rest, _, err := run(t, append(strings.Fields(command), "--data", data)...)
		require.NoError(t, err)
		require.Equal(t, whole, out.String()+rest)
	}
	require.ErrorContains(t, (&exporting{}).copy(&torn{strings.NewReader(whole), 3}, io.Discard), "before its first entry")
}
