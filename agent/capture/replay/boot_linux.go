package replay

import "golang.org/x/sys/unix"

// bootNow is the time since boot, the clock of events.
func bootNow() uint64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return 1
	}
	return uint64(now.Nano())
}
