//go:build linux

package capture_test

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// usage is what the program reads of itself; memory in kilobytes.
type usage struct {
	major, minor         int64
	size, resident, swap int64
	fdLimit              uint64
}

func usageNow() usage {
	var faults unix.Rusage
	must("usage", unix.Getrusage(unix.RUSAGE_THREAD, &faults), nil)
	var files unix.Rlimit
	must("limit", unix.Getrlimit(unix.RLIMIT_NOFILE, &files), nil)
	return usage{
		major: faults.Majflt, minor: faults.Minflt, fdLimit: files.Cur,
		size: kilobytes("VmSize"), resident: kilobytes("VmRSS"), swap: kilobytes("VmSwap"),
	}
}

func kilobytes(name string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(statusOf(name), " kB"), 10, 64)
	must("status", err, nil)
	return n
}

// usedBetween bounds what a call in between can have told. Faults are counted exactly
// for the thread. The program gives no memory back, so its size only grows; of what is
// resident and swapped each processor keeps up to a batch of each kind of page to itself.
func usedBetween(before, after usage) want {
	const pageKB, kinds = 4, 3
	cpus := int64(runtime.NumCPU())
	batch := max(32, 2*cpus) * cpus * pageKB
	return want{
		"fdlimit":  strconv.FormatUint(before.fdLimit, 10),
		"pgft_maj": between(before.major, after.major), "pgft_min": between(before.minor, after.minor),
		"vm_size": between(before.size, after.size),
		"vm_rss":  between(before.resident-2*kinds*batch, after.resident+2*kinds*batch),
		"vm_swap": between(before.swap-2*batch, after.swap+2*batch),
	}
}

// firstStart is when the first process of this pid namespace began, as exactly as
// /proc has it.
func firstStart() string {
	const tick = 10_000_000
	stat, err := os.ReadFile("/proc/1/stat")
	must("stat", err, nil)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	n, err := strconv.ParseInt(fields[20], 10, 64)
	must("stat", err, nil)
	return between(n*tick, n*tick+tick-1)
}
