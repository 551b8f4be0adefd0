package scap

import "riposte/agent/event"

// setName is prctl's PR_SET_NAME.
const setName = 15

// identity follows what a process changes of itself.
func (d *decoder) identity(e *event.Event) {
	if e.Ret < 0 {
		return
	}
	p := d.thread.proc
	set := func(to *uint32, s slot) {
		if n, ok := d.num(s); ok && uint32(n) != ^uint32(0) {
			*to = uint32(n)
		}
	}
	switch e.Type {
	case event.Setuid:
		set(&p.EUID, pUID)
		set(&p.UID, pUID)
	case event.Setresuid, event.Setreuid:
		set(&p.EUID, pEUID)
		set(&p.UID, pRUID)
	case event.Setgid:
		set(&p.GID, pGID)
	case event.Setresgid, event.Setregid:
		set(&p.GID, pEGID)
	case event.Setsid:
		p.SID = int32(e.Ret)
	case event.Setpgid:
		if pid := d.or(pPID, -1); pid == 0 || pid == int64(p.VPID) {
			if p.VPGID = int32(d.or(pPGID, 0)); p.VPGID == 0 {
				p.VPGID = p.VPID
			}
		}
	case event.Prctl:
		name := d.text(pArg2)
		if d.or(pOption, 0) != setName || name == "" || d.thread.tid != int64(p.PID) {
			return
		}
		p.Comm = name
	case event.Capset:
		p.Caps = event.Capabilities{
			Known: true, Inheritable: uint64(d.or(pCapI, 0)), Permitted: uint64(d.or(pCapP, 0)), Effective: uint64(d.or(pCapE, 0)),
		}
	default:
		return
	}
	d.clock.Changed(&p.Process)
	d.identify(p)
}
