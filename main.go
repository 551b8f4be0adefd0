// Command riposte detects what a compromised container does and acts on it.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	agent "riposte/agent/command"
	"riposte/deploy/standalone"
	"riposte/deploy/standalone/keyset"
	"riposte/deploy/standalone/nodes"
	"riposte/deploy/standalone/sandbox"
	responder "riposte/responder/command"
	"riposte/web"
)

// version is set by the build.
var version = "dev"

func main() {
	sandbox.Init() // the drill's container starts as this program
	if err := newRoot().Execute(); err != nil {
		if says := err.Error(); says != "" { // a command may have said it all
			fmt.Fprintln(os.Stderr, "riposte:", says)
		}
		os.Exit(exitCode(err))
	}
}

// exitCode is 1, unless the error says another one.
func exitCode(err error) int {
	var coded interface{ ExitStatus() int }
	if errors.As(err, &coded) {
		return coded.ExitStatus()
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "riposte",
		Short: "Detect what a compromised container does, and act",
		Long: `Riposte watches what every container on a node really does, and acts when one is
compromised. Begin with "riposte up": it runs everything on this machine and
attacks a container of its own.`,
		Example:       "  sudo riposte up\n  riposte alerts list\n  riposte audit verify",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
	}
	root.AddCommand(standalone.NewUp(version, web.FS()), standalone.NewDrill(version, web.FS()))
	root.AddCommand(agent.NewAgent(version), agent.NewRules(), agent.NewReplay(), nodes.New(), keyset.New(), newVersion())
	root.AddCommand(responder.New(version, web.FS())...)
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  riposte version",
		Args:    cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "riposte %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
