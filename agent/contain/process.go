package contain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"riposte/agent/cgroupns"
	"riposte/agent/order"
)

// kernelThread is the flag in /proc/PID/stat of what is no program (PF_KTHREAD).
const kernelThread = 0x00200000

// openProcess opens the one process that is meant. What is read from /proc after
// that is its own, or the process has ended and a signal reaches nobody.
func openProcess(t order.Target) (fd int, err error) {
	fd, err = unix.PidfdOpen(int(t.PID), 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return -1, gone("the process no longer exists")
	}
	if err != nil {
		return -1, fmt.Errorf("open process %d: %w", t.PID, err)
	}
	s, err := readStat(int(t.PID))
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH):
		err = gone("the process no longer exists")
	case err != nil:
	case s.startNS/tick != t.ProcessNS/tick:
		// The pid is another's, so the one meant has ended.
		err = gone(fmt.Sprintf("another process has the pid, started at %d", s.startNS))
	case ended(fd):
		err = gone("the process has ended already")
	case s.flags&kernelThread != 0:
		err = refused("the target is a thread of the kernel")
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// ended says that the process only waits for its parent to take notice. The state in
// /proc will not do: it is that of the first thread, which others may outlive.
func ended(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// killProcess ends one process of a container.
func (h *Handler) killProcess(ctx context.Context, o order.Order, r *order.Receipt, begin func() error) error {
	switch o.Target.PID {
	case 1:
		return refused("the target is the machine's first process")
	case int32(os.Getpid()):
		return refused("the target is the agent itself")
	}
	fd, err := openProcess(o.Target)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := h.mayKill(o.Target); err != nil {
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return gone("the process ended by itself")
	}
	if err != nil {
		return fmt.Errorf("kill process %d: %w", o.Target.PID, err)
	}
	r.ExecutedNS, r.Processes = h.opt.Now().UnixNano(), 1
	ctx, cancel := context.WithTimeout(ctx, h.opt.Verify)
	defer cancel()
	if err := waitEnded(ctx, fd); err != nil {
		r.Message = "killed, but it is still ending: " + err.Error()
	} else {
		r.VerifiedNS = h.opt.Now().UnixNano()
	}
	return nil
}

// mayKill demands that the process is in a container and that this one may be
// touched: the kubelet, the container runtime, the bus and the database are in none.
func (h *Handler) mayKill(t order.Target) error {
	below, err := cgroupOf(h.view, strconv.Itoa(int(t.PID)))
	if err != nil {
		if ignoreGone(err) == nil {
			return gone("the process no longer exists")
		}
		return err
	}
	if below == h.own || strings.HasPrefix(h.own, below+"/") {
		return refused("the agent itself runs in the process's cgroup")
	}
	c, ok := h.opt.Containers.ContainerAt(below)
	switch {
	case !ok:
		return refused("the process is in no container that the agent knows")
	case t.ContainerID != "" && (c.ID != t.ContainerID || c.CgroupID != t.CgroupID || c.StartNS/tick != t.StartNS/tick):
		return refused("the process is in another container than the order says")
	}
	if why := h.keep.protects(c); why != "" {
		return refused(why)
	}
	return nil
}

// cgroupOf is the path of a process's cgroup below the tree's root.
func cgroupOf(v cgroupns.View, process string) (string, error) {
	file := "/proc/" + process + "/cgroup"
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	shown, ok := cgroupns.Shown(string(b))
	if !ok {
		return "", fmt.Errorf("%s has no line for cgroup v2 (0::…)", file)
	}
	return v.Path(shown), nil
}

func (h *Handler) seenEnded(ctx context.Context, o order.Order) bool {
	fd, err := openProcess(o.Target)
	if err != nil {
		var final *verdict
		return errors.As(err, &final) && final.empty
	}
	defer unix.Close(fd)
	ctx, cancel := context.WithTimeout(ctx, h.opt.Verify)
	defer cancel()
	return waitEnded(ctx, fd) == nil
}

// waitEnded returns when the process has ended, or ctx's error.
func waitEnded(ctx context.Context, fd int) error {
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int((100 * time.Millisecond).Milliseconds()))
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("wait for the process's end: %w", err)
		case n > 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// stat is what we need of /proc/PID/stat.
type stat struct {
	flags   uint64
	startNS uint64
}

func readStat(pid int) (stat, error) {
	name := fmt.Sprintf("/proc/%d/stat", pid)
	b, err := os.ReadFile(name)
	if err != nil {
		return stat{}, err
	}
	// The name of the program stands in parentheses and may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	const flagsAt, startAt = 9 - 3, 22 - 3 // proc(5) counts from 1, and two are before
	if len(fields) <= startAt {
		return stat{}, fmt.Errorf("%s has %d fields", name, len(fields))
	}
	flags, err := strconv.ParseUint(fields[flagsAt], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("%s: flags: %w", name, err)
	}
	start, err := strconv.ParseUint(fields[startAt], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("%s: start: %w", name, err)
	}
	return stat{flags: flags, startNS: start * tick}, nil
}
