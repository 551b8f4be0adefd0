package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Cost begins to count what a benchmark costs, and returns a function that reports
// it for each of n things that were done: processor time of this process and of
// PostgreSQL's in microseconds, bytes of write-ahead log. Unlike wall time they say
// something on a machine that does other work too. Only the benchmark may use the server.
func Cost(b *testing.B) (report func(n int)) {
	b.Helper()
	pg := start(b)
	own, servers, log := ownCPU(b), serverCPU(b, pg.PID()), written(b, pg.URL())
	return func(n int) {
		b.Helper()
		each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(n) }
		b.ReportMetric(each(ownCPU(b)-own), "go-µs")
		b.ReportMetric(each(serverCPU(b, pg.PID())-servers), "pg-µs")
		b.ReportMetric(float64(written(b, pg.URL())-log)/float64(n), "wal-B")
	}
}

func ownCPU(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// serverCPU is that of the postmaster, of its processes and of those that ended.
func serverCPU(b *testing.B, postmaster int) (all time.Duration) {
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", postmaster))
	if err != nil {
		b.Fatal(err)
	}
	pids := []string{strconv.Itoa(postmaster)}
	for _, path := range children {
		text, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		pids = append(pids, strings.Fields(string(text))...)
	}
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			continue // it ended just now, and counts with the postmaster the next time
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 15 {
			b.Fatalf("/proc/%s/stat: %s", pid, text)
		}
		for _, field := range fields[11:15] { // utime, stime, cutime, cstime: see proc_pid_stat(5)
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			all += time.Duration(ticks) * time.Second / 100
		}
	}
	return all
}

// written is how much write-ahead log there is.
func written(b *testing.B, url string) (bytes int64) {
	s := open(b, url)
	defer s.Close()
	if err := s.Pool().QueryRow(b.Context(), "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").Scan(&bytes); err != nil {
		b.Fatal(err)
	}
	return bytes
}
