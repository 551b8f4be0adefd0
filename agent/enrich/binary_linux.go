package enrich

import (
	"syscall"

	"riposte/agent/event"
)

// binary fills in what the inode of a process's binary says.
func (f *procFiles) binary(pid int32, p *event.Process) {
	var exe syscall.Stat_t
	if syscall.Stat(f.file(pid, "exe"), &exe) == nil {
		p.ExeIno, p.ExeCtimeNS, p.ExeMtimeNS = exe.Ino, exe.Ctim.Nano(), exe.Mtim.Nano()
	}
}
