package agent

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"riposte/agent/health"
)

// hostMetrics are figures of this process and host. What cannot be read is left out.
func hostMetrics(started time.Time) []health.Metric {
	var all []health.Metric
	add := func(name, help string, value float64, ok bool) {
		if ok {
			all = append(all, health.One(health.Gauge, falco+name, help, value))
		}
	}
	boot, running, busy, ok := procStat(content("/proc/stat"))
	add("host_boot_timestamp_nanoseconds", "When the host was booted, Unix time.", boot*1e9, ok)
	add("host_procs_running_total", "Processes of the host that run or could.", running, ok)
	add("host_cpu_usage_ratio", "The share of the host's CPU time since its boot that was used.", busy, ok)

	mem := kilobytes(content("/proc/meminfo"))
	add("host_memory_used_bytes", "The host's memory that is not available.", mem["MemTotal"]-mem["MemAvailable"], mem["MemTotal"] > 0)
	status := kilobytes(content("/proc/self/status"))
	add("memory_rss_bytes", "The agent's resident memory.", status["VmRSS"], status["VmRSS"] > 0)
	add("memory_vsz_bytes", "The agent's virtual memory.", status["VmSize"], status["VmSize"] > 0)
	rollup := kilobytes(content("/proc/self/smaps_rollup"))
	add("memory_pss_bytes", "The agent's share of memory.", rollup["Pss"], rollup["Pss"] > 0)

	if f := strings.Fields(content("/proc/sys/fs/file-nr")); len(f) > 0 {
		n, err := strconv.ParseFloat(f[0], 64)
		add("host_open_fds_total", "The host's open files.", n, err == nil)
	}
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	used := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	add("cpu_usage_ratio", "The agent's CPU time for each second that it runs.", used.Seconds()/time.Since(started).Seconds(), err == nil)
	return all
}

// content is a small file of the kernel's, empty if it cannot be read.
func content(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(b)
}

// procStat reads the boot's Unix time, how many processes run, and the share of
// CPU time that was used.
func procStat(s string) (boot, running, busy float64, ok bool) {
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, err := strconv.ParseFloat(f[1], 64)
		switch {
		case err != nil:
		case f[0] == "btime":
			boot, ok = n, true
		case f[0] == "procs_running":
			running = n
		case f[0] == "cpu" && len(f) >= 9:
			var total, idle float64
			// user nice system idle iowait irq softirq steal; a guest's time is in user's.
			for i, v := range f[1:9] {
				t, err := strconv.ParseFloat(v, 64)
				if err != nil {
					return 0, 0, 0, false
				}
				if total += t; i == 3 || i == 4 {
					idle += t
				}
			}
			busy = (total - idle) / max(total, 1)
		}
	}
	return boot, running, busy, ok
}

// kilobytes reads lines of a name, a colon, a number and perhaps "kB".
func kilobytes(s string) map[string]float64 {
	all := map[string]float64{}
	for line := range strings.Lines(s) {
		name, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if !ok || len(f) == 0 {
			continue
		}
		n, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			continue
		}
		if len(f) > 1 && f[1] == "kB" {
			n *= 1024
		}
		all[name] = n
	}
	return all
}
