// Command generate writes the reference page of the metrics to the named file.
package main

import (
	"errors"
	"fmt"
	"os"

	"riposte/responder/figures"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: generate FILE")
	}
	f, err := os.Create(args[0])
	if err != nil {
		return err
	}
	if err := figures.WriteReference(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
