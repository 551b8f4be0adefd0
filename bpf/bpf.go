// Package bpf holds the programs that run in the kernel and the Go that bpf2go
// makes of them. The compiled objects are committed, so that building the agent
// needs Go alone; a change of the C needs `go generate ./bpf` with the pinned clang.
//
// syscall.bpf.c reports system calls at their exit, process.bpf.c the life of
// processes and new cgroups. Each hook has two programs, *_typed and *_raw; the loader tries the
// typed ones and falls back. Both objects write to one ring buffer and count every
// loss in one map; headers/wire.h defines the records.
//
// contain.bpf.c stands apart: it drops the packets of a container that is cut off.
package bpf

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64 -type wire_header -type wire_open -type wire_connect -type wire_version -type wire_kind -type wire_call -type wire_mark -type wire_loss Syscall syscall.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64 -type wire_header -type wire_fork -type wire_exec -type wire_exit -type wire_cgroup Process process.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -type cut_slot Contain contain.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror
