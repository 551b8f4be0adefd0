package rules_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
	"riposte/agent/rules"
)

func formatted(t *testing.T, output string, e *event.Event) (string, map[string]any) {
	t.Helper()
	rs := load(t, "- rule: R\n  desc: d\n  condition: evt.type = open\n  priority: error\n  output: >-\n    "+output+"\n")
	message, fields := rs.Rules()[0].Format(e)
	// The container's fields are added to every output.
	return strings.TrimSuffix(message, " container_id=0123456789ab container_name=cart container_image_repository=<NA> container_image_tag=<NA> k8s_pod_name=<NA> k8s_ns_name=<NA>"), fields
}

func anOpen() *event.Event {
	c := &event.Container{ID: "0123456789abcdef", Name: "cart"}
	shim := &event.Process{PID: 1, Comm: "shim", Container: event.Host}
	shell := &event.Process{PID: 2, Comm: "sh", Container: c, Parent: shim}
	return &event.Event{
		Type: event.Open, TimeNS: 1_700_000_000_123_456_789, Ret: 3,
		Proc: &event.Process{PID: 3, Comm: "cat", Args: []string{"/etc/x"}, Container: c, Parent: shell, TTY: 5},
		File: event.File{Kind: 'f', Num: 3, Name: "/etc/x"},
	}
}

func TestFormat(t *testing.T) {
	e := anOpen()
	for output, want := range map[string]string{
		"plain":                                     "plain",
		"a=%proc.name b=%proc.cmdline.":             "a=cat b=cat /etc/x.",
		"%proc.name%proc.pname":                     "catsh",
		"*%proc.name, %user.name":                   "cat, <NA>",
		"%proc.aname[2] %proc.aname[9] %proc.aname": "shim <NA> sh shim",
		"[%6proc.name] [%2proc.name]":               "[cat   ] [ca]",
		"%toupper(proc.name) %proc.name.x":          "CAT cat.x",
		"%proc.name[1] %fd.num %proc.tty":           "cat[1] 3 5",
		"%evt.is_open_read %fd.sip":                 "true <NA>",
		"x%container.info y":                        "x y",
	} {
		got, _ := formatted(t, output, e)
		require.Equal(t, want, got, output)
	}
	got, _ := formatted(t, "%evt.time", e)
	require.Equal(t, time.Unix(0, e.TimeNS).Format("15:04:05.000000000"), got)
}

func TestFormatFields(t *testing.T) {
	e := anOpen()
	_, fields := formatted(t, "%proc.name %proc.aname[2] %user.name %fd.num %evt.is_open_write %toupper(proc.name) %evt.time %proc.aname", e)
	require.Equal(t, map[string]any{
		"proc.name": "cat", "proc.aname[2]": "shim", "user.name": nil, "fd.num": int64(3), "evt.is_open_write": false, "proc.aname": "sh shim",
		"evt.time": int64(1_700_000_000_123_456_789), "container.id": "0123456789ab", "container.name": "cart",
		"container.image.repository": nil, "container.image.tag": nil, "k8s.pod.name": nil, "k8s.ns.name": nil,
	}, fields)
}

func TestSuggestedFieldsAreNotDoubled(t *testing.T) {
	rs := load(t, "- rule: R\n  desc: d\n  condition: evt.type = open\n  priority: error\n  output: in %container.id\n")
	message, _ := rs.Rules()[0].Format(anOpen())
	require.Equal(t, 1, strings.Count(message, "0123456789ab"))
}

// What a process chooses cannot forge a line, move a terminal's cursor or break JSON.
func TestFormatIsOneSafeLine(t *testing.T) {
	e := anOpen()
	e.Proc.Comm = "a\nCritical \x1b[2J\r\t\x00\u202eb\u2028c\u0085d\xff\x7f"
	e.File.Name = "/\xc3\x28"
	message, fields := formatted(t, "%proc.name|%fd.name", e)
	require.Equal(t, `a\nCritical \u001b[2J\r\t\u0000\u202eb\u2028c\u0085d`+"\uFFFD"+`\u007f|/`+"\uFFFD(", message)
	require.Equal(t, "/\uFFFD(", fields["fd.name"])
}

func TestFormatOfASocket(t *testing.T) {
	e := anOpen()
	e.File = event.File{Kind: '4', Name: "1.1.1.1:1->2.2.2.2:2", Socket: event.Socket{
		Local: netip.MustParseAddrPort("1.1.1.1:1"), Remote: netip.MustParseAddrPort("2.2.2.2:2"), Role: event.RoleClient,
	}}
	message, fields := formatted(t, "%fd.sip %fd.sport %fd.ip", e)
	require.Equal(t, "2.2.2.2 2 1.1.1.1 2.2.2.2", message)
	require.Equal(t, "2.2.2.2", fields["fd.sip"])
	require.Equal(t, int64(2), fields["fd.sport"])
}

func FuzzFormat(f *testing.F) {
	for _, s := range []string{"%proc.name %10proc.cmdline %proc.aname[2]", "*%tolower(proc.name)%", "%proc.name.x[3] %%", "%0proc.name", "%concat(proc.name, 'x')", "%container.info"} {
		f.Add(s, "sh\n")
	}
	f.Fuzz(func(t *testing.T, output, comm string) {
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(output) + `"`
		rs, err := rules.Load(files("- rule: R\n  desc: d\n  condition: evt.type = open\n  priority: error\n  output: " + quoted + "\n")...)
		if err != nil {
			return
		}
		e := anOpen()
		e.Proc.Comm = comm
		message, _ := rs.Rules()[0].Format(e)
		if strings.ContainsAny(message, "\n\r\x1b\x00") {
			t.Fatalf("%q", message)
		}
	})
}
