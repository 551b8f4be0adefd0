package contain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// freeze stops every process of the cgroup and of those in it, by cgroup v2's
// freezer: a frozen process can still be killed, unlike one that v1's has stopped.
func (c *cgroup) freeze() error {
	err := c.write("cgroup.freeze", "1")
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("this kernel has no cgroup.freeze (since 5.2): %w", err)
	}
	return err
}

// thaw lets them go on. A cgroup that has gone needs none.
func (c *cgroup) thaw() error { return ignoreGone(c.write("cgroup.freeze", "0")) }

// freezing says whether somebody has asked for the cgroup to be frozen.
func (c *cgroup) freezing() (bool, error) {
	b, err := c.read("cgroup.freeze")
	return strings.TrimSpace(string(b)) == "1", err
}

// waitFrozen returns when every process has stopped, or ctx's error.
func (c *cgroup) waitFrozen(ctx context.Context) error {
	return c.await(ctx, "frozen 1")
}

// await returns when cgroup.events has the line, or ctx's error.
func (c *cgroup) await(ctx context.Context, want string) error {
	events, err := c.file("cgroup.events", unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		// Reading arms the next notice, so no change is missed between the two.
		got, err := says(events, want)
		if err != nil || got {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := notice(events, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// says looks for a line in cgroup.events.
func says(events *os.File, want string) (bool, error) {
	var b [256]byte
	n, err := events.ReadAt(b[:], 0)
	if n == 0 && err != nil {
		return false, err
	}
	key, _, _ := strings.Cut(want, " ")
	for text := range strings.Lines(string(b[:n])) {
		if text = strings.TrimSpace(text); strings.HasPrefix(text, key+" ") {
			return text == want, nil
		}
	}
	return false, fmt.Errorf("%s does not say whether it is %s", events.Name(), key)
}
