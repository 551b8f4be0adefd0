// Command generate writes what is made of the code: the reference page of the
// actions and the document of the API, to the named files.
package main

import (
	"errors"
	"fmt"
	"os"

	"riposte/responder"
	"riposte/responder/action"
	"riposte/responder/api/server"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: generate ACTIONS.md OPENAPI.json")
	}
	document, err := server.Document()
	if err != nil {
		return err
	}
	if err := os.WriteFile(args[1], document, 0o644); err != nil {
		return err
	}
	f, err := os.Create(args[0])
	if err != nil {
		return err
	}
	if err := action.WriteReference(f, responder.Actions()...); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
