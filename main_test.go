package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"riposte/responder/store/storetest"
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) { // what the manual's commands run
	case "riposte":
		main()
		return
	case "opa":
		opaBuild()
		return
	}
	os.Exit(storetest.Run(m))
}

// TestEveryCommandExplainsItself: a command without an example is one that
// people have to guess.
func TestEveryCommandExplainsItself(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		require.NotEmpty(t, c.Short, c.CommandPath())
		if c.Runnable() {
			require.NotEmpty(t, c.Example, c.CommandPath())
		}
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(newRoot())
}

func TestCompletionAndVersion(t *testing.T) {
	for want, args := range map[string][]string{
		"bash completion": {"completion", "bash"},
		"riposte dev (go": {"version"},
		"enforce":         {"playbooks", "list"},
		"table":           {"__complete", "alerts", "list", "-o", ""},
	} {
		var out bytes.Buffer
		root := newRoot()
		root.SetOut(&out)
		root.SetArgs(args)
		require.NoError(t, root.Execute(), args)
		require.Contains(t, out.String(), want)
	}
}
