package event_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

func TestRunsCheck(t *testing.T) {
	const line = "/bin/check -q now"
	box := &event.Container{ID: "a", Liveness: line}
	shim := &event.Process{Container: event.Host}
	first := &event.Process{Container: box, Parent: shim, VPID: 1, Exe: "/bin/check", Args: []string{"-q", "now"}}
	check := &event.Process{Container: box, Parent: shim, VPID: 17, Exe: "/bin/check", Args: []string{"-q", "now"}}
	orphan := &event.Process{Container: box, VPID: 18, Exe: "/bin/check", Args: []string{"-q", "now"}}
	deep := check
	for range 40 {
		deep = &event.Process{Container: box, Parent: deep, Exe: "sh"}
	}
	for _, c := range []struct {
		what string
		p    *event.Process
		is   bool
	}{
		{"the check", check, true},
		{"whose parent has ended", orphan, true},
		{"what it starts", &event.Process{Container: box, Parent: check, Exe: "sh"}, true},
		{"the container's own first process", first, false},
		{"what that starts", &event.Process{Container: box, Parent: first, VPID: 9, Exe: "/bin/check", Args: []string{"-q", "now"}}, false},
		{"more arguments", &event.Process{Container: box, Parent: shim, VPID: 2, Exe: "/bin/check", Args: []string{"-q", "now", "x"}}, false},
		{"fewer arguments", &event.Process{Container: box, Parent: shim, VPID: 2, Exe: "/bin/check", Args: []string{"-q"}}, false},
		{"a longer argument", &event.Process{Container: box, Parent: shim, VPID: 2, Exe: "/bin/check", Args: []string{"-q", "nower"}}, false},
		{"no command line", &event.Process{Container: box, Parent: shim, VPID: 2}, false},
		{"on the host", &event.Process{Container: event.Host, Parent: shim, Exe: "/bin/check", Args: []string{"-q", "now"}}, false},
		{"too deep below", deep, false},
	} {
		require.Equal(t, c.is, c.p.RunsCheck(line), c.what)
	}
	require.False(t, check.RunsCheck(""), "a container without that check")
}
