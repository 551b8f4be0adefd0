// Command generate writes what is made of the code: the reference page of the
// actions, the document of the API and the chart's permissions, to the named files.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"riposte/responder"
	"riposte/responder/action"
	"riposte/responder/api/server"
	"riposte/responder/kube"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: generate ACTIONS.md OPENAPI.json PERMISSIONS.yaml")
	}
	document, err := server.Document()
	if err != nil {
		return err
	}
	if err := os.WriteFile(args[1], document, 0o644); err != nil {
		return err
	}
	return errors.Join(
		write(args[0], func(w io.Writer) error { return action.WriteReference(w, responder.Actions()...) }),
		write(args[2], func(w io.Writer) error {
			return action.WriteChartPermissions(w, kube.Permissions(), responder.Actions()...)
		}))
}

func write(name string, to func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(to(f), f.Close())
}
