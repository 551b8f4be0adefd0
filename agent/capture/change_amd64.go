//go:build linux

package capture

import (
	"riposte/agent/event"
	"riposte/bpf"
)

// change takes a record of a call that may have changed what the task is.
func (c *record) change(tail []byte, e *event.Event) error {
	s, tail, ok := fixed[bpf.SyscallWireState](tail)
	if !ok {
		return errShort
	}
	t, err := c.take(tail)
	if err != nil {
		return err
	}
	cwd := t.text(s.CwdLen)
	c.state = state(&s, cwd, t.text(s.RootLen))
	if e.Ret >= 0 {
		after := c.state
		e.Change = &after
		if e.Type == event.Fchdir {
			e.File = event.File{Kind: event.KindDirectory, Num: int64(int32(c.Args[0])), Name: cwd, RealPath: cwd}
		}
	}
	return t.err()
}

func state(s *bpf.SyscallWireState, cwd, root string) event.State {
	return event.State{
		Credentials: event.Credentials{
			UID: s.Uid, EUID: s.Euid, SUID: s.Suid, FSUID: s.Fsuid,
			GID: s.Gid, EGID: s.Egid, SGID: s.Sgid, FSGID: s.Fsgid,
			Caps: event.Capabilities{Known: true, Inheritable: s.Inheritable, Permitted: s.Permitted, Effective: s.Effective},
		},
		Namespaces: event.Namespaces{
			Mount: s.NsMnt, PID: s.NsPid, PIDForChildren: s.NsPidChildren, Net: s.NsNet,
			User: s.NsUser, IPC: s.NsIpc, UTS: s.NsUts, Cgroup: s.NsCgroup,
		},
		CWD: cwd, Root: root, TTY: s.Tty, SID: int32(s.Sid), PGID: int32(s.Pgid),
		VPID: int32(s.Vpid), VTID: int32(s.Vtid), VPGID: int32(s.Vpgid), VSID: int32(s.Vsid), LoginUID: s.Loginuid,
	}
}
