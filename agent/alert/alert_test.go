package alert_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with testdata/<name> byte by byte.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	got = append(got, '\n')
	if *update {
		require.NoError(t, os.WriteFile(name, got, 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err, "run the test with -update once")
	require.Equal(t, string(want), string(got))
}

// full has every key, and texts that are easy to encode wrongly.
func full() *alert.Alert {
	return &alert.Alert{
		UUID: "0192f0c1-1f2e-7c3d-8a4b-0123456789ab", Time: time.Unix(1_700_000_000, 120_000_045).UTC(), Rule: "Terminal shell in container",
		Priority: alert.Critical, Source: "syscall", Hostname: "node-1.example",
		Output: "22:13:20.120000045: Critical A shell <b>&\"'\\ \u202e\x1b[2J (command=sh -c 'cat < /etc/shadow && true')",
		Tags:   []string{"container", "mitre_execution"},
		OutputFields: map[string]any{
			"evt.time": int64(1_700_000_000_120_000_045), "fd.name": nil, "proc.is_exe_upper_layer": true, "proc.cmdline": "sh -c 'cat < /etc/shadow'",
			"proc.aname[2]": "containerd-shim", "proc.pid": int64(4242), "fd.ips": []any{"10.0.0.1", "10.0.0.2"},
		},
		Riposte: &alert.Riposte{
			Schema: alert.Schema, Cluster: "prod", Node: "node-1.example", BootID: "6f1c7e0e-8a65-4c8e-9a53-0b1f0a3c2d4e", Seq: 7,
			KernelTimeNS: 1_700_000_000_120_000_045, AlertTimeNS: 1_700_000_000_120_400_000, Ruleset: strings.Repeat("ab", 32),
			Process: &alert.Process{
				PID: 4242, StartNS: 18_446_744_073_709_551_615, Name: "sh", Exe: "sh", ExePath: "/bin/busybox", Args: []string{"-c", "cat < /etc/shadow"},
				UID: 4_294_967_295, Ancestors: []string{"containerd-shim", "systemd"},
			},
			Container: &alert.Container{ID: strings.Repeat("c0", 32), Name: "web", Image: "nginx:1", CgroupID: 8123, StartNS: 99_000_000_000},
			Pod: &alert.Pod{
				Namespace: "shop", Name: "web-0", UID: "11111111-2222-3333-4444-555555555555", Labels: map[string]string{"app": "web"}, Owner: "StatefulSet/web",
			},
		},
	}
}

func TestGolden(t *testing.T) {
	minimal := &alert.Alert{
		UUID: "u", Time: time.Unix(0, 1), Rule: "r", Priority: alert.Debug, Source: "syscall", Hostname: "h",
		Riposte: &alert.Riposte{Schema: alert.Schema, Cluster: "c", Node: "n", BootID: "b", Seq: 1, Recorded: true},
	}
	for name, a := range map[string]*alert.Alert{"full": full(), "minimal": minimal} {
		// Not json.Marshal: that would escape <, > and & again.
		got, err := a.MarshalJSON()
		require.NoError(t, err)
		var b bytes.Buffer
		require.NoError(t, json.Indent(&b, got, "", "  "))
		golden(t, name+".json", b.Bytes())

		got, err = a.FalcoJSON()
		require.NoError(t, err)
		b.Reset()
		require.NoError(t, json.Indent(&b, got, "", "  "))
		golden(t, name+".falco.json", b.Bytes())
	}
}

func TestFalcoJSONHasFalcosKeysAlone(t *testing.T) {
	b, err := full().FalcoJSON()
	require.NoError(t, err)
	var keys map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(b, &keys))
	for _, k := range []string{"hostname", "output", "output_fields", "priority", "rule", "source", "tags", "time"} {
		require.Contains(t, keys, k)
		delete(keys, k)
	}
	require.Empty(t, keys)
}

func TestRoundTrip(t *testing.T) {
	first, err := full().MarshalJSON()
	require.NoError(t, err)
	require.NotContains(t, string(first), `\u003c`, "< stays readable")
	var a alert.Alert
	require.NoError(t, json.Unmarshal(first, &a))
	require.Equal(t, json.Number("1700000000120000045"), a.OutputFields["evt.time"], "nanoseconds keep every digit")
	second, err := a.MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))

	want := full()
	want.OutputFields, a.OutputFields = nil, nil
	require.Empty(t, cmp.Diff(want, &a))
}

func TestAnAlertOfFalcoIsAccepted(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "from-falco.json"))
	require.NoError(t, err)
	var a alert.Alert
	require.NoError(t, json.Unmarshal(b, &a))
	require.NoError(t, a.Validate())
	require.Nil(t, a.Riposte)
	require.Empty(t, a.UUID)
	require.Equal(t, alert.Warning, a.Priority)
	require.Equal(t, 963_521_847, a.Time.Nanosecond())
	require.JSONEq(t, `"A message"`, string(a.Extra["message"]))
}

func TestUnknownKeysAreKept(t *testing.T) {
	in := `{"custom":{"a":[1,2.50]},"hostname":"h","output":"o","output_fields":{},"priority":"Error","rule":"r","source":"s","tags":[],` +
		`"time":"2026-01-02T03:04:05.000000006Z","zulu":null}`
	var a alert.Alert
	require.NoError(t, json.Unmarshal([]byte(in), &a))
	require.Len(t, a.Extra, 2)
	out, err := a.MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, in, string(out))

	a.Extra["rule"] = json.RawMessage(`"another"`)
	out, err = a.MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, in, string(out), "an unknown key cannot take a known one's place")
}

func TestBadAlertsAreErrors(t *testing.T) {
	for in, want := range map[string]string{
		``:                                      "unexpected end",
		`[]`:                                    "cannot unmarshal array",
		`{"time":"yesterday"}`:                  `time: "yesterday" is not RFC 3339`,
		`{"priority":"Loud"}`:                   `unknown priority "Loud"`,
		`{"time":"2026-01-02T03:04:05Z"} {}`:    "after top-level value",
		`{"output_fields":7}`:                   "cannot unmarshal number",
		`{"riposte":{"seq":-1},"time":""}`:      "cannot unmarshal number -1",
		`{"riposte":{"process":{"pid":1e300}}}`: "cannot unmarshal number",
	} {
		var a alert.Alert
		require.ErrorContains(t, json.Unmarshal([]byte(in), &a), want, in)
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*alert.Alert){
		"rule is empty":     func(a *alert.Alert) { a.Rule = "" },
		"time is zero":      func(a *alert.Alert) { a.Time = time.Time{} },
		"schema is 2":       func(a *alert.Alert) { a.Riposte.Schema = 2 },
		"uuid is empty":     func(a *alert.Alert) { a.UUID = "" },
		"cluster or ripost": func(a *alert.Alert) { a.Riposte.Node = "" },
		"boot_id or":        func(a *alert.Alert) { a.Riposte.BootID = "" },
		"seq is missing":    func(a *alert.Alert) { a.Riposte.Seq = 0 },
	} {
		a := full()
		require.NoError(t, a.Validate())
		change(a)
		require.ErrorContains(t, a.Validate(), want)
	}
}

func TestPriority(t *testing.T) {
	for p := alert.Emergency; p <= alert.Debug; p++ {
		got, err := alert.ParsePriority(strings.ToUpper(p.String()))
		require.NoError(t, err)
		require.Equal(t, p, got)
		require.Equal(t, strings.ToLower(p.String()), p.Token())
	}
	p, err := alert.ParsePriority("INFO")
	require.NoError(t, err)
	require.Equal(t, alert.Informational, p)
	_, err = alert.ParsePriority("")
	require.ErrorContains(t, err, "use one of emergency, alert, critical")
	require.Equal(t, "Priority(9)", alert.Priority(9).String())
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"full.json", "full.falco.json", "minimal.json", "from-falco.json"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add([]byte(`{"time":"2026-01-02T03:04:05Z","RULE":"r","rule":"q","output_fields":{"a":1e999}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a alert.Alert
		if json.Unmarshal(b, &a) != nil {
			return
		}
		_ = a.Validate()
		once, err := a.MarshalJSON()
		require.NoError(t, err)
		var again alert.Alert
		require.NoError(t, json.Unmarshal(once, &again), "what we write we can read: %s", once)
		twice, err := again.MarshalJSON()
		require.NoError(t, err)
		require.Equal(t, string(once), string(twice))
	})
}

func BenchmarkMarshal(b *testing.B) {
	a := full()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.MarshalJSON(); err != nil {
			b.Fatal(err)
		}
	}
}
