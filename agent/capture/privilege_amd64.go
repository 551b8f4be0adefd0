//go:build linux

package capture

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"golang.org/x/sys/unix"
)

// privilege is a capability that capture or the process table uses.
type privilege struct {
	bit  int
	name string
	// needed says that nothing works without it; CAP_SYS_ADMIN stands for it then.
	needed bool
	// without is what follows where it is missing.
	without string
}

var privileges = []privilege{
	{unix.CAP_BPF, "CAP_BPF", true, "no program can be loaded"},
	{unix.CAP_PERFMON, "CAP_PERFMON", true, "the programs may not read the kernel's memory"},
	{
		unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE", false,
		"processes of other users that are older than the agent have neither program, directory nor environment, and users of containers no names",
	},
	{
		unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", false,
		"a cgroup that was made before the agent is not found by its number once it has gone, and lists of users that only their owner may read are not read",
	},
}

// missing are the privileges that a set of effective capabilities lacks, given as the
// kernel has it, in two halves.
func missing(lower, upper uint32) (all []privilege) {
	set := uint64(upper)<<32 | uint64(lower)
	has := func(bit int) bool { return set>>bit&1 == 1 }
	for _, p := range privileges {
		if !has(p.bit) && (!p.needed || !has(unix.CAP_SYS_ADMIN)) {
			all = append(all, p)
		}
	}
	return all
}

// checkPrivileges is an *Unavailable where a capability is missing without which
// nothing works, and logs what follows from the others.
func checkPrivileges(log *slog.Logger) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("ask for this process's capabilities: %w", err)
	}
	var needed, why []string
	for _, p := range missing(data[0].Effective, data[1].Effective) {
		if p.needed {
			needed, why = append(needed, p.name), append(why, p.without)
			continue
		}
		log.Warn("a capability is missing: "+p.without, "capability", p.name)
	}
	if len(needed) == 0 {
		return nil
	}
	return &Unavailable{
		Why:  "this process lacks " + strings.Join(needed, " and ") + ": " + strings.Join(why, ", "),
		Help: "run as root, or with the capabilities BPF, PERFMON, SYS_PTRACE and DAC_READ_SEARCH",
		Err:  unix.EPERM,
	}
}

// tellKernel logs what this kernel lacks that the programs can do without, and what
// follows from it.
func tellKernel(log *slog.Logger) {
	if err := features.HaveProgramHelper(ebpf.RawTracepoint, asm.FnTaskPtRegs); err != nil {
		log.Warn("this kernel does not show by which call a process forks (5.15 or newer does): every fork is told as a clone without flags", "cause", err)
	}
}
