// Package bpf holds the programs that run in the kernel and the Go that bpf2go
// makes of them. The compiled objects are committed, so that building the agent
// needs Go alone; a change of the C needs `go generate ./bpf` with the pinned clang.
//
// syscall.bpf.c looks at every system call's exit and hands on, by tail calls, to what
// reports it: itself, file.bpf.c, socket.bpf.c or process.bpf.c, which also reports
// the life of processes and cgroups. uring.bpf.c reports what comes by io_uring. Each hook has two programs, *_typed and *_raw;
// the loader tries the typed ones and falls back. Programs named handle_* are reached
// by tail calls alone. All objects share their maps, so they write to one ring buffer
// and count every loss in one map; headers/wire.h defines the records.
//
// contain.bpf.c stands apart: it drops the packets of a container that is cut off.
// helper.bpf.c is for tests: it calls what the others share, one helper at a time.
package bpf

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64 -type wire_header -type wire_call -type wire_object -type wire_file -type wire_socket -type wire_state -type wire_change -type wire_exec -type wire_fork -type wire_exit -type wire_cgroup -type wire_shape -type wire_version -type wire_kind -type wire_handler -type wire_special -type wire_shape_flag -type wire_base -type wire_fd -type wire_tier -type wire_table -type wire_mark -type wire_loss -type wire_role -type wire_note -type wire_interest -type wire_prefix -type wire_paths Syscall syscall.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64 File file.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64 Socket socket.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64 Uring uring.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64 Process process.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -type cut_slot Contain contain.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target amd64 -type helper_answer Helper helper.bpf.c -- -mcpu=v3 -Wall -Wextra -Werror
