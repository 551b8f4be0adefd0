package command_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/command"
)

// replayed runs "riposte replay".
func replayed(t *testing.T, args ...string) (out, summary string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := command.NewReplay()
	cmd.SetArgs(args)
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SilenceErrors = true
	err = cmd.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// smallCapture is a capture of three failed removals and one close.
func smallCapture() string {
	var b []byte
	le := binary.LittleEndian
	block := func(kind uint32, body []byte) {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		size := uint32(len(body) + 12)
		b = le.AppendUint32(append(le.AppendUint32(le.AppendUint32(b, kind), size), body...), size)
	}
	section := le.AppendUint16(le.AppendUint16(le.AppendUint32(nil, 0x1A2B3C4D), 1), 2)
	block(0x0A0D0D0A, le.AppendUint64(section, ^uint64(0)))
	event := func(num uint16, params ...[]byte) {
		var lens, data []byte
		for _, p := range params {
			lens, data = le.AppendUint16(lens, uint16(len(p))), append(data, p...)
		}
		body := le.AppendUint64(le.AppendUint64(le.AppendUint16(nil, 1), 1_700_000_000_000_000_001), 7)
		body = le.AppendUint32(body, uint32(26+len(lens)+len(data)))
		body = le.AppendUint32(le.AppendUint16(body, num), uint32(len(params)))
		block(0x216, append(append(body, lens...), data...))
	}
	failed := le.AppendUint64(nil, ^uint64(1))
	for _, name := range []string{"/a\x00", "/b\x00", "/c\nWarning forged\x00"} {
		event(301, failed, []byte(name))
	}
	event(5, le.AppendUint64(nil, 0), le.AppendUint64(nil, 3))
	return string(b)
}

const removals = `
- rule: removal
  desc: a file is removed
  condition: evt.type = unlink and evt.res = ENOENT
  output: gone %evt.arg.path by %thread.tid
  priority: WARNING
  tags: [zoo, apes]
- rule: anything
  desc: any event
  condition: evt.num > 0
  output: any %evt.type
  priority: DEBUG
  warn_evttypes: false
`

func TestReplay(t *testing.T) {
	capture, file := ruleFile(t, "x.scap", smallCapture()), ruleFile(t, "r.yaml", removals)

	out, summary, err := replayed(t, capture, "-r", file)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 4, "one line an alert, whatever a path has in it")
	require.Contains(t, lines[0], ": Warning gone /a by 7 container_id=host")
	require.Contains(t, lines[2], `gone /c\nWarning forged by 7`)
	require.Contains(t, lines[3], ": Debug any close")
	require.Equal(t, `Events in the file: 4, looked at by rules: 4
Alerts: 4
  Warning: 3
  Debug: 1
Alerts by rule:
  removal: 3
  anything: 1
Dropped: 0
`, summary)

	out, summary, err = replayed(t, capture, "-r", file, "-o", "rule_matching=all", "-o", "priority=warning", "-o", "time_format_iso_8601=true")
	require.NoError(t, err)
	require.Contains(t, out, "2023-11-14T22:13:20.000000001+0000: Warning gone /a")
	require.Contains(t, summary, "looked at by rules: 3\nAlerts: 3\n")
}

func TestReplayJSON(t *testing.T) {
	capture, file := ruleFile(t, "x.scap", smallCapture()), ruleFile(t, "r.yaml", removals)
	out, _, err := replayed(t, capture, "-r", file, "-o", "json_output=true", "-o", "json_include_message_property=true", "-o", "rule_matching=all")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 7)
	var a map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &a))
	require.Equal(t, "removal", a["rule"])
	require.Equal(t, "Warning", a["priority"])
	require.Equal(t, "syscall", a["source"])
	require.Equal(t, "2023-11-14T22:13:20.000000001Z", a["time"])
	require.Equal(t, []any{"apes", "zoo"}, a["tags"])
	require.Contains(t, a["output"], ": Warning gone /a by 7")
	require.Equal(t, "gone /a by 7", strings.SplitN(a["message"].(string), " container_id", 2)[0])
	fields := a["output_fields"].(map[string]any)
	require.Equal(t, "/a", fields["evt.arg.path"])
	require.Contains(t, lines[0], `"evt.time":1700000000000000001`)
	require.NotContains(t, a, "uuid", "Falco's keys alone")

	out, _, err = replayed(t, capture, "-r", file, "-o", "json_output=true", "-o", "json_include_output_property=false",
		"-o", "json_include_tags_property=false", "-o", "json_include_output_fields_property=false")
	require.NoError(t, err)
	for _, key := range []string{`"output"`, `"tags"`, `"output_fields"`, `"message"`} {
		require.NotContains(t, out, key)
	}
}

func TestReplayErrors(t *testing.T) {
	capture, file := ruleFile(t, "x.scap", smallCapture()), ruleFile(t, "r.yaml", removals)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no file":          {[]string{"/nowhere.scap", "-r", file}, "open the capture: open /nowhere.scap"},
		"no capture":       {[]string{file, "-r", file}, "is it a capture file at all?"},
		"no rules":         {[]string{capture, "-r", "/nowhere.yaml"}, "read a rules file: stat /nowhere.yaml"},
		"bad rules":        {[]string{capture, "-r", capture}, "the rules do not load"},
		"no value":         {[]string{capture, "-o", "json_output"}, "write key=value"},
		"near setting":     {[]string{capture, "-o", "json_outptu=true"}, `did you mean "json_output"?`},
		"no truth":         {[]string{capture, "-o", "json_output=maybe"}, `must be true or false, not "maybe"`},
		"wrong matching":   {[]string{capture, "-o", "rule_matching=last"}, `rule_matching cannot be "last"`},
		"unknown field":    {[]string{capture, "-o", `append_output[]={"extra_fields": ["evt.hostnam"]}`}, `-o:1:35: append_output[1].extra_fields[0]: unknown field evt.hostnam: did you mean evt.hostname?`},
		"no capture name":  {[]string{"-r", file}, "name the capture file, or set engine.replay.capture_file"},
		"no file to write": {[]string{capture, "-o", "file_output={enabled: true, filename: /nowhere/x}"}, "open the file of alerts: open /nowhere/x"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := replayed(t, c.args...)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestReplayOfACutFile(t *testing.T) {
	whole := smallCapture()
	capture, file := ruleFile(t, "x.scap", whole[:len(whole)-9]), ruleFile(t, "r.yaml", removals)
	out, summary, err := replayed(t, capture, "-r", file)
	require.ErrorContains(t, err, "the capture is damaged at byte ")
	require.ErrorContains(t, err, "the file ends here; the events before it were replayed")
	require.Equal(t, 3, strings.Count(out, "gone"), "what comes before the damage is replayed")
	require.Contains(t, summary, "Alerts: 3\n")
}

// samples are real captures. falco is how many alerts Falco 0.40 gives on each with a
// rule that matches every event, entries how many of those events are a call's entry,
// which Falco showed then and Riposte, as newer Falcos, does not.
var samples = []struct {
	name           string
	falco, entries int
}{
	{"falco-empty-99d6d5c.scap", 143, 0},
	{"falco-privileged-c554277.scap", 2059, 0},
	{"falco-run_as_user_0_container-641c4c5.scap", 4141, 1357},
	{"falco-run_as_user_65534_container-63e58a1.scap", 240, 1},
	{"falco-write_tmp_test-caaa73c.scap", 228, 1},
	{"falco-syscall-90dc870.scap", 368, 6},
	{"falco-empty-9e0651e.scap", 80, 0},
	{"falco-connect_localhost-8806a67.scap", 374, 4},
	{"falco-open-multiple-files-61832b1.scap", 1269, 42},
	{"falco-ping_sendto-939de43.scap", 1526, 10},
	{"falco-cat_write-c4cf36b.scap", 345, 42},
	{"libs-curl_google-26c88ba.scap", 1536, 597},
	{"libs-curl_google_comments-73e47dd.scap", 1536, 597}, // Falco 0.40 refuses it; the events are those of the file above
	{"libs-single_ipv6_conn-10cce5b.scap", 1728, 14},
	{"libs-test_ipv6_client-2029ea2.scap", 326, 33},
	{"libs-sample-fa3078d.scap", 477, 87},
}

// official are the rules of Falco's own files that fire on a sample; on all others
// none does.
var official = map[string]string{"libs-test_ipv6_client-2029ea2.scap": "Unexpected UDP Traffic"}

func TestReplayOfSamples(t *testing.T) {
	dir := os.Getenv("RIPOSTE_CAPTURES")
	if dir == "" {
		t.Skip("RIPOSTE_CAPTURES does not name the folder of the sample captures")
	}
	every := ruleFile(t, "every.yaml", `
- rule: every
  desc: every event
  condition: evt.num > 0
  output: "%evt.type"
  priority: DEBUG
  warn_evttypes: false
`)
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			out, summary, err := replayed(t, filepath.Join(dir, s.name), "-r", every)
			require.NoError(t, err)
			require.Equal(t, s.falco-s.entries, strings.Count(out, "\n"))
			require.Contains(t, summary, "Dropped: 0\n")
		})
	}
	t.Run("official rules", func(t *testing.T) {
		from := os.Getenv("RIPOSTE_FALCO_RULES")
		if from == "" {
			t.Skip("RIPOSTE_FALCO_RULES does not name the folder of Falco's official rule files")
		}
		files, err := filepath.Glob(filepath.Join(from, "*.yaml"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, s := range samples {
			args := []string{filepath.Join(dir, s.name), "-o", "json_output=true", "-o", "rule_matching=all"}
			for _, f := range files {
				args = append(args, "-r", f)
			}
			out, _, err := replayed(t, args...)
			require.NoError(t, err)
			var fired []string
			for line := range strings.Lines(out) {
				var a struct {
					Rule string `json:"rule"`
				}
				require.NoError(t, json.Unmarshal([]byte(line), &a))
				fired = append(fired, a.Rule)
			}
			var want []string
			if rule := official[s.name]; rule != "" {
				want = []string{rule}
			}
			require.Equal(t, want, fired, s.name)
		}
	})
}
