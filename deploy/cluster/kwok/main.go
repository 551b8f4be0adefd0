// Command kwok plays the kubelets of all nodes of a cluster in which nothing runs: it
// marks nodes as ready, renews their leases, lets pods run, and takes those away that
// are being deleted. It is kwok with its own stages for nodes and pods.
//
// It ends on SIGTERM, on SIGINT and when its standard input closes, so that a test
// which dies cannot leave it behind.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/cmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "cluster whose nodes and pods to play")
	dir := flag.String("dir", "", "folder for the configuration")
	lease := flag.String("lease", "40", "seconds that a node's lease holds; it is renewed four times as often")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := run(ctx, *kubeconfig, *dir, *lease); err != nil {
		fmt.Fprintln(os.Stderr, "kwok:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, dir, lease string) error {
	stages := []string{nodefast.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease, podfast.DefaultPodReady, podfast.DefaultPodComplete, podfast.DefaultPodDelete}
	file := filepath.Join(dir, "kwok.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(stages, "\n---\n")), 0o600); err != nil {
		return err
	}
	// kwok reads this flag from the program's own arguments, before all others.
	os.Args = []string{"kwok", "--config", file}
	ctx, err := config.InitFlags(ctx, pflag.NewFlagSet("kwok", pflag.ContinueOnError))
	if err != nil {
		return err
	}
	c := cmd.NewCommand(ctx)
	c.SetArgs([]string{"--kubeconfig", kubeconfig, "--manage-all-nodes", "--node-lease-duration-seconds", lease})
	return c.ExecuteContext(ctx)
}
