//go:build linux

package capture

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock turns the kernel's time since boot into wall-clock time. The difference is
// measured at the start and again now and then, for the wall clock is adjusted.
type clock struct {
	offset   int64 // Unix nanoseconds at boot
	measured uint64
}

// remeasure is how far events may advance before the difference is measured again.
const remeasure = uint64(10 * time.Second)

func newClock() (*clock, error) {
	c := &clock{}
	return c, c.measure()
}

// measure reads both clocks and takes the middle of the two readings of boot time.
func (c *clock) measure() error {
	var before, wall, after unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &before); err != nil {
		return err
	}
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &wall); err != nil {
		return err
	}
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &after); err != nil {
		return err
	}
	c.offset = wall.Nano() - (before.Nano()+after.Nano())/2
	c.measured = uint64(after.Nano())
	return nil
}

func (c *clock) unix(boot uint64) int64 {
	if boot > c.measured+remeasure {
		if err := c.measure(); err != nil {
			c.measured = boot // keep the old difference
		}
	}
	return int64(boot) + c.offset
}

// bootNow is the kernel's time since boot, 0 where it cannot be read.
func bootNow() uint64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0
	}
	return uint64(t.Nano())
}
