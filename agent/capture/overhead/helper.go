//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// helperName as the first argument makes this program a load of its own process.
const helperName = "helper"

// helper runs a load for a number of milliseconds and prints how often it did its work.
//
//	opens MS         open and close a file
//	forks MS         start /bin/true and wait for it
//	rate MS RATE CPU try to open a missing file RATE times a second on one CPU
func helper(args []string) error {
	if len(args) < 2 {
		return errors.New("helper: which load, and for how long?")
	}
	ms, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	during := time.Duration(ms) * time.Millisecond
	switch args[0] {
	case "opens":
		return repeat(during, 64, func() error {
			fd, err := unix.Open("/etc/hostname", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			return unix.Close(fd)
		})
	case "forks":
		return repeat(during, 1, func() error {
			pid, err := syscall.ForkExec("/bin/true", []string{"true"}, nil)
			if err != nil {
				return err
			}
			_, err = syscall.Wait4(pid, nil, 0, nil)
			return err
		})
	case "rate":
		if len(args) < 4 {
			return errors.New("helper: rate MS RATE CPU")
		}
		return paced(during, args[2], args[3])
	}
	return fmt.Errorf("helper: no load %q", args[0])
}

// repeat works until the time is over, and looks at the clock every few times.
func repeat(during time.Duration, every int, work func() error) error {
	n := 0
	for end := time.Now().Add(during); n%every != 0 || time.Now().Before(end); n++ {
		if err := work(); err != nil {
			return err
		}
	}
	_, err := fmt.Println(n)
	return err
}

// paced keeps to a rate: what is due is done at once, and no more.
func paced(during time.Duration, rate, cpu string) error {
	perSecond, err := strconv.Atoi(rate)
	if err != nil {
		return err
	}
	on, err := strconv.Atoi(cpu)
	if err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(on)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("stay on CPU %d: %w", on, err)
	}
	n, began := 0, time.Now()
	for spent := time.Duration(0); spent < during; spent = time.Since(began) {
		for due := int(spent.Seconds() * float64(perSecond)); n < due; n++ {
			if _, err := unix.Open("/nonexistent", unix.O_RDONLY, 0); !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("open a missing file: %w", err)
			}
			if n%1024 == 0 && time.Since(began) > during {
				break
			}
		}
	}
	_, err = fmt.Fprintln(os.Stdout, n)
	return err
}
