// Generate writes a capture file of a busy node.
package main

import (
	"flag"
	"fmt"
	"os"

	"riposte/agent/capture/scap/synth"
)

func main() {
	events := flag.Int("events", 1_000_000, "events to write, entries and exits")
	seed := flag.Uint64("seed", 1, "another seed gives another file of the same kind")
	out := flag.String("o", "busy.scap", "file to write")
	flag.Parse()
	if err := write(*out, synth.Options{Events: *events, Seed: *seed}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write(name string, o synth.Options) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	sum, err := synth.Write(f, o)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d events, %d of them exits of calls, %d threads\n", sum.Events, sum.Exits, sum.Threads)
	return nil
}
