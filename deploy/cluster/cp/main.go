// Command kube-cp is the part of Kubernetes that a client sees: etcd and
// kube-apiserver, real ones, in one process that needs neither root nor fixed
// ports. It runs no controller, no scheduler and no kubelet: what is made there
// stays as it was made.
//
// It keeps everything below -dir, writes DIR/kubeconfig for a cluster
// administrator, and prints one line "ready KUBECONFIG" on standard output when
// the API server answers. It ends on SIGTERM, on SIGINT and when its standard
// input closes, so that a test which dies cannot leave it behind. The data is
// for throwing away: nothing is flushed to the disk in an orderly way.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	dir := flag.String("dir", "", "folder to keep everything in (required; made if it is missing)")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: kube-cp -dir FOLDER <FIFO-OR-PIPE\n\nRuns etcd and kube-apiserver on 127.0.0.1 until its standard input closes.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *dir == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := run(ctx, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "kube-cp:", err)
		os.Exit(1)
	}
}

// run starts both servers, reports when they are ready and returns when ctx
// ends, without waiting for them: the process is about to go.
func run(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	etcd, err := startEtcd(ctx, filepath.Join(dir, "etcd"))
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	api, err := startAPIServer(ctx, dir, etcd)
	if err != nil {
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	if err := api.waitReady(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // told to end before it was ready
		}
		return fmt.Errorf("kube-apiserver: %w", err)
	}
	fmt.Println("ready", api.kubeconfig)
	select {
	case <-ctx.Done():
		return nil
	case err := <-api.ended:
		return fmt.Errorf("kube-apiserver ended: %w", err)
	}
}
