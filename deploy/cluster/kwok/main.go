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
	flag.Parse()
	if err := run(*kubeconfig, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "kwok:", err)
		os.Exit(1)
	}
}

// options let many pods start at once. Leases are renewed each fifty seconds, a fifth as
// often as kubelet does: for a thousand nodes they would cost more than all else, and no
// part of Riposte looks at them.
const options = `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  podPlayStageParallelism: 32
  nodePlayStageParallelism: 16
  podsOnNodeSyncParallelism: 16
  nodeLeaseParallelism: 4
  nodeLeaseDurationSeconds: 200
`

// run plays until a signal, or until standard input ends, as it does with the test.
func run(kubeconfig, dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	parts := []string{options, nodefast.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease, podfast.DefaultPodReady, podfast.DefaultPodComplete, podfast.DefaultPodDelete}
	file := filepath.Join(dir, "kwok.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(parts, "\n---\n")), 0o600); err != nil {
		return err
	}
	// kwok reads this flag from the program's own arguments, before all others.
	os.Args = []string{"kwok", "--config", file}
	ctx, err := config.InitFlags(ctx, pflag.NewFlagSet("kwok", pflag.ContinueOnError))
	if err != nil {
		return err
	}
	c := cmd.NewCommand(ctx)
	c.SetArgs([]string{"--kubeconfig", kubeconfig, "--manage-all-nodes"})
	return c.ExecuteContext(ctx)
}
