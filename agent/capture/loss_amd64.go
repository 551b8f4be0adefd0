//go:build linux

package capture

import (
	"maps"

	"github.com/cilium/ebpf"

	"riposte/bpf"
)

// places names the kernel's loss counters; the texts are part of our metrics.
var places = map[bpf.SyscallWireLoss]string{
	bpf.SyscallWireLossLOSS_RING_FULL:       "ring_full",
	bpf.SyscallWireLossLOSS_RING_FULL_STATE: "ring_full_state",
	bpf.SyscallWireLossLOSS_SHED:            "shed",
	bpf.SyscallWireLossLOSS_SHED_LOW:        "shed_low",
	bpf.SyscallWireLossLOSS_SCRATCH_BUSY:    "scratch_busy",
	bpf.SyscallWireLossLOSS_TAIL_CALL:       "tail_call",
	bpf.SyscallWireLossLOSS_PATH_CUT:        "path_cut",
	bpf.SyscallWireLossLOSS_ARGUMENT:        "argument_unreadable",
	bpf.SyscallWireLossLOSS_ARGS_CUT:        "exec_args_cut",
	bpf.SyscallWireLossLOSS_ENV_CUT:         "exec_env_cut",
	bpf.SyscallWireLossLOSS_FILE:            "file_gone",
	bpf.SyscallWireLossLOSS_MESSAGES:        "messages_cut",
}

// Lost counts by place. These lost an event: "ring_full", "ring_full_state" for one of
// the state set, "shed" and "shed_low" to keep room for state events when the ring
// filled, "scratch_busy", "tail_call", "recursion", "undecodable" and
// "uring_unmatched", a request of io_uring whose beginning or end was not seen. These lost a part
// of one: "path_cut", "argument_unreadable", "exec_args_cut", "exec_env_cut",
// "file_gone" and "messages_cut", calls that moved more messages than are told.
func (s *Live) Lost() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return maps.Clone(s.last)
	}
	return s.lost()
}

func (s *Live) lost() map[string]uint64 {
	all := map[string]uint64{"undecodable": s.undecoded.Load(), "recursion": 0, "uring_unmatched": s.unmatched.Load()}
	for place, name := range places {
		all[name] = sum(s.losses, uint32(place))
	}
	for _, coll := range s.colls {
		for _, prog := range coll.Programs {
			if stats, err := prog.Stats(); err == nil {
				all["recursion"] += stats.RecursionMisses
			}
		}
	}
	return all
}

// sum adds up what the CPUs have counted; a map that is not there has counted nothing.
func sum(counters *ebpf.Map, at uint32) (total uint64) {
	var perCPU []uint64
	if counters == nil || counters.Lookup(at, &perCPU) != nil {
		return 0
	}
	for _, n := range perCPU {
		total += n
	}
	return total
}
