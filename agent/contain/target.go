package contain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"riposte/agent/event"
	"riposte/agent/order"
)

// verdict is a final answer without an effect.
type verdict struct {
	outcome order.Outcome
	message string
	// empty says that the target was seen to have no process left.
	empty bool
}

func (v *verdict) Error() string { return v.message }

func refused(message string) error { return &verdict{outcome: order.Refused, message: message} }

// gone: the target was seen to have no process left.
func gone(message string) error {
	return &verdict{outcome: order.Gone, message: message, empty: true}
}

// replaced: something else stands where the target was said to be. That is no
// proof that the target's processes have ended.
func replaced(format string, args ...any) error {
	return &verdict{outcome: order.Gone, message: fmt.Sprintf(format, args...)}
}

// target is an open cgroup of one container.
type target struct {
	*cgroup
	// container is what the agent knows of it.
	container event.Container
	// inside are its processes, count is how many there were.
	inside map[int]bool
	count  int
}

// tick is the unit in which /proc tells a process's start. A start that the agent
// learned there at its own start agrees with the kernel's exact one to a tick.
const tick = 10_000_000

// find opens the one cgroup that is meant. A *verdict says that there
// is nothing to do or that it must not be done; any other error may pass.
func (h *Handler) find(t order.Target) (*target, error) {
	known, ok := h.opt.Containers.Container(t.ContainerID)
	if !ok {
		return nil, h.unknown(t)
	}
	if known.CgroupID != t.CgroupID || known.StartNS/tick != t.StartNS/tick {
		return nil, replaced("another life of the container: cgroup %d, started at %d", known.CgroupID, known.StartNS)
	}
	below := path.Clean("/" + known.Cgroup)
	if below == "/" {
		return nil, refused("the target is the root of all cgroups: on a host with both hierarchies its container has no cgroup v2 of its own")
	}
	if h.own == below || strings.HasPrefix(h.own, below+"/") {
		return nil, refused("the agent itself runs in the target")
	}
	c, err := openCgroup(h.opt.CgroupRoot, below)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, gone("the container's cgroup no longer exists")
	}
	if err != nil {
		return nil, err
	}
	found, err := h.inspect(c, t)
	if err != nil {
		c.close()
		return nil, err
	}
	found.container = known
	return found, nil
}

// findFree is find for what must not be done to a protected target.
func (h *Handler) findFree(t order.Target) (*target, error) {
	c, err := h.find(t)
	if err != nil {
		return nil, err
	}
	if why := h.keep.protects(c.container); why != "" {
		c.close()
		return nil, refused(why)
	}
	return c, nil
}

func (h *Handler) inspect(c *cgroup, t order.Target) (*target, error) {
	if c.ino != t.CgroupID {
		return nil, replaced("another cgroup has taken the container's place: %d", c.ino)
	}
	inside, err := c.processes()
	if err != nil {
		return nil, fmt.Errorf("list the container's processes: %w", err)
	}
	switch {
	case inside[os.Getpid()]:
		return nil, refused("the agent itself runs in the target")
	case inside[1]:
		return nil, refused("the machine's first process runs in the target")
	}
	empty, err := c.empty()
	if err != nil && ignoreGone(err) != nil {
		return nil, err
	}
	if empty || err != nil {
		return nil, gone("no process is left in the container")
	}
	return &target{cgroup: c, inside: inside, count: len(inside)}, nil
}

// unknown tells a container that has ended from one that the agent does not know.
func (h *Handler) unknown(t order.Target) error {
	c, err := cgroupByID(h.opt.CgroupRoot, t.CgroupID)
	if errors.Is(err, fs.ErrNotExist) {
		return gone("the container no longer exists")
	}
	if err != nil {
		return fmt.Errorf("the agent does not know the container, and cannot look for its cgroup %d: %w", t.CgroupID, err)
	}
	defer c.close()
	if empty, err := c.empty(); err != nil || empty {
		return gone("no process is left in the container")
	}
	return fmt.Errorf("cgroup %d has processes, but the agent does not know it as container %s", t.CgroupID, t.ContainerID)
}
