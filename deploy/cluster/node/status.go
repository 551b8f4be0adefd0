package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

// status prints each part and what the API server knows. A part that does not run
// is an error.
func status(ctx context.Context, p place) error {
	c, err := running(p)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PART\tPID\tMEMORY\tLOG")
	var dead []string
	names := []string{"holder"}
	for _, stage := range stages(c) {
		for _, one := range stage {
			names = append(names, one.name)
		}
	}
	for _, name := range names {
		pid := c.find(name)
		if pid == 0 {
			dead = append(dead, name)
			fmt.Fprintf(table, "%s\tended\t\t%s\n", name, p.log(name))
			continue
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\n", name, pid, memory(pid), p.log(name))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(dead) > 0 {
		return fmt.Errorf("%s ended: make cluster-up starts it again", strings.Join(dead, ", "))
	}
	fmt.Println()
	pods := p.inside(ctx, c, "kubectl", "get", "nodes,pods", "--all-namespaces", "--output=wide")
	pods.Stdout, pods.Stderr = os.Stdout, os.Stderr
	if pods.Run() != nil {
		return errors.New("the API server does not answer")
	}
	return nil
}

// memory is a process's resident memory as the kernel prints it.
func memory(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
