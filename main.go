// Command riposte detects what a compromised container does and acts on it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	agent "riposte/agent/command"
	"riposte/deploy/standalone"
	"riposte/deploy/standalone/sandbox"
	responder "riposte/responder/command"
	"riposte/web"
)

// version is set by the build.
var version = "dev"

func main() {
	sandbox.Init() // the drill's container starts as this program
	root := &cobra.Command{
		Use:           "riposte",
		Short:         "Detect what a compromised container does, and act",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
	}
	root.AddCommand(standalone.NewUp(version, web.FS()), standalone.NewDrill(version, web.FS(), responder.Connect))
	root.AddCommand(agent.New(version)...)
	root.AddCommand(responder.New(version, web.FS())...)
	if err := root.ExecuteContext(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "riposte:", err)
		os.Exit(1)
	}
}
