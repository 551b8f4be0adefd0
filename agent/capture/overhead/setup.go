//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
)

// setup is what runs beside the loads.
type setup struct {
	name  string
	start func(context.Context) (end func() error, err error)
}

func nothing(context.Context) (func() error, error) { return func() error { return nil }, nil }

// floorSetup attaches a program that does nothing to the exit of every system call.
func floorSetup(context.Context) (func() error, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "nothing", Type: ebpf.RawTracepoint, License: "MIT", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return nil, err
	}
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "sys_exit", Program: prog})
	if err != nil {
		return nil, errors.Join(err, prog.Close())
	}
	return func() error { return errors.Join(l.Close(), prog.Close()) }, nil
}

const printing = `tracepoint:syscalls:sys_enter_open, tracepoint:syscalls:sys_enter_openat { printf("%d %s open %s\n", pid, comm, str(args->filename)); }
tracepoint:syscalls:sys_enter_execve { printf("%d %s exec %s\n", pid, comm, str(args->filename)); }`

// bpftraceSetup prints opens and execs, into nothing. It gets the kernel's trace folders
// where this machine has not mounted them, in a mount namespace of its own.
func bpftraceSetup() func(context.Context) (func() error, error) {
	return func(ctx context.Context) (func() error, error) {
		c := exec.Command("sh", "-c", `mount -t debugfs none /sys/kernel/debug; mount -t tracefs none /sys/kernel/tracing; exec bpftrace -B full -e "$0"`, printing)
		c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		out, err := c.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := c.Start(); err != nil {
			return nil, err
		}
		var printed atomic.Int64
		read := make(chan struct{})
		go func() {
			defer close(read)
			n, _ := io.Copy(counting{&printed}, out) //nolint:errcheck // it ends when bpftrace does
			_ = n
		}()
		end := func() error {
			_ = c.Process.Kill()
			<-read
			_ = c.Wait() // it was killed
			return nil
		}
		// It prints through a full buffer: our own opens fill it.
		err = await(ctx, "bpftrace to print", func() bool {
			for range 5000 {
				f, err := os.Open("/etc/hostname")
				if err == nil {
					f.Close()
				}
			}
			return printed.Load() > 200
		})
		if err != nil {
			return nil, errors.Join(err, end())
		}
		return end, nil
	}
}

type counting struct{ n *atomic.Int64 }

func (c counting) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

const webPort = "17481"

func agentSetup(o options) func(context.Context) (func() error, error) {
	return func(ctx context.Context) (func() error, error) {
		_, end, err := startAgent(ctx, o)
		return end, err
	}
}

// startAgent runs the agent behind a command such as taskset; its alerts go nowhere.
func startAgent(ctx context.Context, o options, before ...string) (pid int, end func() error, err error) {
	argv := slices.Concat(before, []string{
		o.riposte, "agent", "--output", "json", "--log-level", "error",
		"-o", "webserver.enabled=true", "-o", "webserver.listen_port=" + webPort, "-o", "webserver.prometheus_metrics_enabled=true",
	})
	if o.rules != "" {
		argv = append(argv, "--rules", o.rules)
	}
	c := exec.Command(argv[0], argv[1:]...)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		return 0, nil, err
	}
	end = func() error {
		if err := c.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		return c.Wait()
	}
	if err := await(ctx, "the agent", func() bool { return get("/healthz", nil) == nil }); err != nil {
		return 0, nil, errors.Join(err, end())
	}
	return c.Process.Pid, end, nil
}

// get asks the agent and hands over the lines of its answer.
func get(path string, line func(string)) error {
	resp, err := http.Get("http://127.0.0.1:" + webPort + path) //nolint:noctx // this machine answers
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	for s := bufio.NewScanner(resp.Body); line != nil && s.Scan(); {
		line(s.Text())
	}
	return nil
}

// metrics are the agent's figures by their name with its labels.
func metrics() (map[string]float64, error) {
	all := map[string]float64{}
	err := get("/metrics", func(line string) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
				all[line[:at]] = v
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("the agent's metrics: %w", err)
	}
	return all, nil
}
