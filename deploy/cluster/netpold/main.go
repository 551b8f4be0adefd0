// Command netpold enforces NetworkPolicies (networking.k8s.io/v1) on one node of
// a cluster whose pods are routed, as the CNI plugin ptp does it: every packet
// from or to a pod then passes the node's forward or input hook.
//
// Each change writes one nftables table anew, in one transaction. Every packet of
// the side that opened a connection is judged, not the first one alone, so a
// policy also cuts what is open when it appears.
//
// Not enforced: IPv6, and a pod's packets in the moment between its start and the
// report of its address. Traffic of the node itself to its pods is always allowed,
// as Kubernetes demands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "file with access to the API server")
	node := flag.String("node", "", "the node whose pods are guarded")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, *kubeconfig, *node)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "netpold:", err)
		os.Exit(1)
	}
}

// run keeps the table as the API server's objects want it, until ctx ends.
func run(ctx context.Context, kubeconfig, node string) error {
	access, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	pods, namespaces, policies := factory.Core().V1().Pods(), factory.Core().V1().Namespaces(), factory.Networking().V1().NetworkPolicies()

	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default: // one look is already due, and it will see this change too
		}
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { tell() }, UpdateFunc: func(any, any) { tell() }, DeleteFunc: func(any) { tell() },
		}); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	factory.WaitForCacheSync(ctx.Done())
	tell()

	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	for written := ""; ; {
		select {
		case <-ctx.Done():
			// Cluster-down kills; who asks politely gets the traffic back.
			return nft(context.WithoutCancel(ctx), head+"delete table inet netpold\n")
		case <-changed:
		}
		w := newWorld()
		// A lister that reads memory has no errors.
		w.pods, _ = pods.Lister().List(labels.Everything())
		w.policies, _ = policies.Lister().List(labels.Everything())
		all, _ := namespaces.Lister().List(labels.Everything())
		for _, n := range all {
			w.namespaces[n.Name] = n.Labels
		}
		table := w.table(node)
		if table == written {
			continue
		}
		if err := nft(ctx, table); err != nil {
			log.Error("table not written, trying again", "err", err)
			time.AfterFunc(time.Second, tell)
			continue
		}
		written = table
		log.Info("table written", "pods", len(w.pods), "policies", len(w.policies))
	}
}

// nft runs a script as one transaction.
func nft(ctx context.Context, script string) error {
	cmd := exec.CommandContext(ctx, "nft", "--file", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("nft: %w", err), errors.New(strings.TrimSpace(string(out))))
	}
	return nil
}
