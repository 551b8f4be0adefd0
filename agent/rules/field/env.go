package field

import (
	"strconv"
	"strings"

	"riposte/agent/event"
)

// capNames are the capabilities by their number.
var capNames = strings.Fields(`
CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE
CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT
CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE
CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ
CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE
`)

// capabilities joins the names of a set's bits.
func capabilities(set uint64, known bool) Value {
	if !known {
		return Value{}
	}
	var b strings.Builder
	for i, name := range capNames {
		if set&(1<<i) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name)
	}
	return textOrEmpty(b.String())
}

// environment is all variables, or the value of one.
func environment(e *event.Event, a Argument, _ int) Value {
	if e.Proc == nil || len(e.Proc.Env) == 0 {
		return Value{}
	}
	if !a.Set {
		return text(strings.Join(e.Proc.Env, " "))
	}
	return variable(e.Proc.Env, a.Text)
}

func variable(env []string, want string) Value {
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok && name == want {
			return textOrEmpty(value)
		}
	}
	return Value{}
}

// ancestorEnvironment is all variables of the ancestors, those of the [n]th, or the
// value of one from the nearest that has it.
func ancestorEnvironment(e *event.Event, a Argument, _ int) Value {
	if e.Proc == nil {
		return Value{}
	}
	nth, err := strconv.Atoi(a.Text)
	var all []string
	for p, n := e.Proc.Parent, 1; p != nil && n <= maxAncestors; p, n = p.Parent, n+1 {
		switch {
		case !a.Set:
			all = append(all, p.Env...)
		case err == nil && n == nth:
			return text(strings.Join(p.Env, " "))
		case err != nil:
			if v := variable(p.Env, a.Text); v.OK {
				return v
			}
		}
	}
	return text(strings.Join(all, " "))
}
