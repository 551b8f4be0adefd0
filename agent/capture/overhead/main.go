//go:build linux

// Command overhead measures what the agent costs the programs of a machine: the same
// loads without it, with it, under bpftrace that prints opens and execs, and with an
// empty program at the exit of every system call as the least that any such agent
// costs. Every round runs all of them after each other, and compares within the round.
// See .make/bench-overhead, which installs what it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

type options struct {
	riposte, rules string
	rounds         int
	each           time.Duration
	only           string
	rate           int
	processes      int
	soak           time.Duration
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == helperName {
		if err := helper(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.riposte, "riposte", "bin/riposte", "the program to measure")
	flag.StringVar(&o.rules, "rules", "", "rules file or folder (default the built-in rules)")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each load runs under each setup")
	flag.DurationVar(&o.each, "each", 5*time.Second, "how long a load runs; a compile takes what it takes")
	flag.StringVar(&o.only, "only", "", "loads whose name contains this")
	flag.IntVar(&o.rate, "rate", 250000, "events a second that must be reported without a loss; 0: not tried")
	flag.IntVar(&o.processes, "processes", 5000, "processes for the measurement of memory; 0: not tried")
	flag.DurationVar(&o.soak, "soak", 0, "run the agent under a mixed load for so long and print its memory, nothing else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, w io.Writer) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("run as root: the agent needs it")
	}
	if o.soak > 0 {
		return soak(ctx, o, w)
	}
	dir, err := os.MkdirTemp("", "riposte-overhead-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // nginx's workers are another user
		return err
	}
	loads, stop, err := prepare(ctx, dir, o)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %d CPUs, load %s, %d rounds of %s\n", kernel(), runtime.NumCPU(), loadAverage(), o.rounds, o.each)
	setups := []setup{{"without", nothing}, {"agent", agentSetup(o)}, {"bpftrace", bpftraceSetup()}, {"empty program", floorSetup}}
	rates := map[string]map[string][]float64{} // load, setup, round
	for round := range o.rounds {
		for _, s := range setups {
			fmt.Fprintf(os.Stderr, "round %d of %d: %s\n", round+1, o.rounds, s.name)
			if err := measure(ctx, s, loads, rates); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	table(w, loads, setups, rates)
	return limits(ctx, o, w)
}

// measure runs all loads once under a setup.
func measure(ctx context.Context, s setup, loads []load, rates map[string]map[string][]float64) (err error) {
	end, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	for _, l := range loads {
		rate, err := l.run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		if rates[l.name] == nil {
			rates[l.name] = map[string][]float64{}
		}
		rates[l.name][s.name] = append(rates[l.name][s.name], rate)
	}
	return nil
}

// table prints the median rate without anything, and for each setup the median of what
// each round lost against its own.
func table(w io.Writer, loads []load, setups []setup, rates map[string]map[string][]float64) {
	fmt.Fprintf(w, "\n%-28s %16s", "load", "without")
	for _, s := range setups[1:] {
		fmt.Fprintf(w, " %22s", s.name)
	}
	fmt.Fprintln(w)
	for _, l := range loads {
		base := rates[l.name][setups[0].name]
		fmt.Fprintf(w, "%-28s %11.5g %4s", l.name, median(base), l.unit)
		for _, s := range setups[1:] {
			var cost []float64
			for i, r := range rates[l.name][s.name] {
				cost = append(cost, (1-r/base[i])*100)
			}
			slices.Sort(cost)
			fmt.Fprintf(w, " %7.1f %% (%4.0f … %3.0f)", median(cost), cost[0], cost[len(cost)-1])
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "The share of the rate that is lost: the median of all rounds (least … largest).")
}

func median(all []float64) float64 {
	s := slices.Sorted(slices.Values(all))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "Linux"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}
