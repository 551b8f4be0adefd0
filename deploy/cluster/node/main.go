// Command node is a real Kubernetes of one node on this machine: etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy,
// containerd, runc, and a daemon that enforces NetworkPolicies.
//
//	node up [IMAGE.tar...] | check | down | status | shell | run CMD... | kubectl ARGS... | load IMAGE.tar...
//
// The cluster has a network and a mount namespace of its own. It reaches nothing
// outside and nothing outside reaches it, except through its processes, which
// are in the machine's pid namespace, and its cgroup, riposte-cluster-NAME. All
// that belongs to the cluster is in that cgroup, so there is no list of pids to
// go wrong: what is there is found there, and "down" is one kill of it.
//
// "up" starts what does not run, whatever the reason; a second "up" therefore
// repairs what a crash has left. RIPOSTE_CLUSTER names the cluster, RIPOSTE_KUBE
// and RIPOSTE_NETPOLD the programs of this repository that build.sh has built.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

const usage = `usage: cluster COMMAND

  up [IMAGE.tar...]   start the cluster, or what of it does not run, and load images
  check               say what this machine lacks for it
  down                end it; nothing is left but its logs
  status              what runs, and the pods
  shell               a shell inside, with kubectl
  run CMD...          a command inside; KUBECONFIG is set
  kubectl ARGS...     kubectl as administrator
  load IMAGE.tar...   load images into the node
`

func main() {
	// Hidden commands: this program inside the namespaces.
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "hold":
			os.Exit(hold(os.Args[2]))
		case "enter":
			fail(enter(os.Args[2], os.Args[3], os.Args[4:]))
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p, err := findPlace()
	if err == nil {
		err = command(ctx, p, os.Args[1:])
	}
	fail(err)
}

func command(ctx context.Context, p place, args []string) error {
	if len(args) == 0 {
		args = []string{""}
	}
	rest := args[1:]
	switch args[0] {
	case "up":
		return up(ctx, p, rest)
	case "check":
		return check(p)
	case "down":
		return down(ctx, p)
	case "status":
		return status(ctx, p)
	case "shell":
		shell := os.Getenv("SHELL")
		if shell == "" {
			shell = "/bin/sh"
		}
		return run(ctx, p, shell)
	case "run":
		if len(rest) > 0 {
			return run(ctx, p, rest...)
		}
	case "kubectl":
		return run(ctx, p, append([]string{"kubectl"}, rest...)...)
	case "load":
		return load(ctx, p, rest)
	}
	fmt.Fprint(os.Stderr, usage)
	os.Exit(2)
	return nil
}

// fail ends the program if there is an error, with the exit status of the
// command that failed, if it was one that the user gave.
func fail(err error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "cluster:", err)
	os.Exit(1)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", args...) }
