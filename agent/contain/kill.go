package contain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kill ends every process in the cgroup and in the cgroups below it. When it
// returns nil the kernel has taken the request; see waitEmpty.
func (c *cgroup) kill(ctx context.Context) error {
	err := c.write("cgroup.kill", "1")
	if errors.Is(err, fs.ErrNotExist) {
		return c.killEach(ctx)
	}
	return err
}

// killEach does what cgroup.kill does, for kernels before 5.14: the cgroup is
// frozen, so that nothing in it forks away, then every process is killed until
// none is left. A frozen cgroup lets SIGKILL through.
func (c *cgroup) killEach(ctx context.Context) error {
	if err := c.write("cgroup.freeze", "1"); err != nil {
		return fmt.Errorf("this kernel has neither cgroup.kill (since 5.14) nor cgroup.freeze (since 5.2): %w", err)
	}
	for {
		if err := c.signalAll(); err != nil {
			return fmt.Errorf("%w; the container is left frozen", err)
		}
		empty, err := c.empty()
		if err != nil || empty {
			return ignoreGone(err)
		}
		if err := c.changed(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("not all processes ended: %w; the container is left frozen", err)
		}
	}
}

// signalAll sends SIGKILL to each process in the cgroup and to no other one: a
// process counts if it is listed after its pidfd was opened.
func (c *cgroup) signalAll() error {
	before, err := c.processes()
	if err != nil {
		return err
	}
	open := map[int]int{}
	defer func() {
		for _, fd := range open {
			unix.Close(fd)
		}
	}()
	for pid := range before {
		if len(open) == 512 {
			break // the next round takes the rest
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return fmt.Errorf("open process %d: %w", pid, err)
		}
		open[pid] = fd
	}
	after, err := c.processes()
	if err != nil {
		return err
	}
	for pid, fd := range open {
		if !after[pid] {
			continue
		}
		if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process %d: %w", pid, err)
		}
	}
	return nil
}

// waitEmpty returns when no process is left in the cgroup, or ctx's error.
func (c *cgroup) waitEmpty(ctx context.Context) error {
	return ignoreGone(c.await(ctx, nobody))
}

// nobody is what cgroup.events says of a cgroup without processes, at any depth.
const nobody = "populated 0"

// empty says whether the cgroup holds no process, at any depth.
func (c *cgroup) empty() (bool, error) {
	events, err := c.file("cgroup.events", unix.O_RDONLY)
	if err != nil {
		return false, err
	}
	defer events.Close()
	return says(events, nobody)
}

// changed waits a moment, or less if ctx ends.
func (c *cgroup) changed(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// notice waits until the kernel says that the file has changed, for d at most.
func notice(f *os.File, d time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
	if _, err := unix.Poll(fds, int(d.Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for %s: %w", f.Name(), err)
	}
	return nil
}
