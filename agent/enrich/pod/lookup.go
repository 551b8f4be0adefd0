// Package pod tells which pod of this node has a UID, as the cgroup of its
// containers names it. It follows the API server's news about this one node.
//
// The agent does its work without the API server: what is not known is only a
// pod without a name, and everything is learned when the server comes back. A
// pod that a kubelet reads from a file (a static pod) is not found, since its
// cgroup does not bear the UID that the API server gives it.
package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"riposte/agent/event"
)

// A deleted pod's containers may run on for a while, and their last events come
// late; a node that starts and ends more than a thousand pods a minute loses
// the names of the first of them.
const (
	keepDeleted    = time.Minute
	maxDeleted     = 1000
	dialTimeout    = 5 * time.Second
	protobuf       = "application/vnd.kubernetes.protobuf"
	protobufOrJSON = protobuf + ",application/json"
)

// Lookup knows the pods of one node.
type Lookup struct {
	informer cache.SharedIndexInformer
	// listed says that every pod of the first list is in pods.
	listed cache.InformerSynced
	log    *slog.Logger
	now    func() time.Time

	mu   sync.RWMutex
	pods map[string]event.Pod
	// deleted is in pods still, first deleted first.
	deleted []departure
}

type departure struct {
	uid    string
	forget time.Time
}

// New makes a Lookup for the pods that are bound to node. It reads the
// kubeconfig file, or takes the service account of the pod that we run in if
// there is none (""), and fails if that cannot be used; the API server itself is
// not asked yet.
func New(kubeconfig, node string, log *slog.Logger) (*Lookup, error) {
	config, err := load(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.UserAgent = "riposte-agent"
	config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	config.ContentType, config.AcceptContentTypes = protobuf, protobufOrJSON
	config.WarningHandler = rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	l := &Lookup{
		informer: cache.NewSharedIndexInformer(podsOn(client, node), &corev1.Pod{}, 0, cache.Indexers{}),
		log:      log.With("component", "pods"),
		now:      time.Now,
		pods:     map[string]event.Pod{},
	}
	handled, err := l.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: l.set, UpdateFunc: l.update, DeleteFunc: l.remove})
	if err != nil {
		return nil, fmt.Errorf("follow the node's pods: %w", err)
	}
	l.listed = handled.HasSynced
	return l, errors.Join(l.informer.SetTransform(strip), l.informer.SetWatchErrorHandlerWithContext(l.interrupted))
}

func load(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("the pod's service account: %w", err)
		}
		return config, nil
	}
	file, err := clientcmd.LoadFromFile(kubeconfig)
	if err == nil {
		err = clientcmd.ResolveLocalPaths(file)
	}
	if err == nil {
		err = clientcmd.ConfirmUsable(*file, "")
	}
	var path *fs.PathError
	if errors.As(err, &path) && path.Path == kubeconfig {
		err = path.Err // the file is named below
	}
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*file, "", nil, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	return config, nil
}

// Run follows the node's pods until ctx ends. It outlives every failure of the
// API server.
func (l *Lookup) Run(ctx context.Context) {
	// client-go logs through its own logger, to standard error, unless it is given one.
	l.informer.RunWithContext(klog.NewContext(ctx, logr.FromSlogHandler(l.log.Handler())))
}

// WaitListed waits while Run runs until the node's pods are known once, and says
// whether they are; ctx bounds the wait.
func (l *Lookup) WaitListed(ctx context.Context) bool {
	return cache.WaitForCacheSync(ctx.Done(), l.listed)
}

// Pod returns the pod with this UID. It never waits. The labels are shared, so
// nobody may change them.
func (l *Lookup) Pod(uid string) (event.Pod, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	p, ok := l.pods[uid]
	return p, ok
}

func (l *Lookup) set(object any) {
	pod := object.(*corev1.Pod)
	owner := ""
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil {
		owner = ref.Kind + "/" + ref.Name
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	// A list can be older than the news of a deletion.
	l.deleted = slices.DeleteFunc(l.deleted, func(d departure) bool { return d.uid == string(pod.UID) })
	l.pods[string(pod.UID)] = event.Pod{
		UID:       string(pod.UID),
		Namespace: pod.Namespace,
		Name:      pod.Name,
		Labels:    maps.Clone(pod.Labels),
		Owner:     owner,
		Probes:    probes(pod),
	}
}

// probes are those that run a program.
func probes(pod *corev1.Pod) map[string]event.Probes {
	var all map[string]event.Probes
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		p := event.Probes{Liveness: commandLine(c.LivenessProbe), Readiness: commandLine(c.ReadinessProbe)}
		if p == (event.Probes{}) {
			continue
		}
		if all == nil {
			all = map[string]event.Probes{}
		}
		all[c.Name] = p
	}
	return all
}

func commandLine(p *corev1.Probe) string {
	if p == nil || p.Exec == nil {
		return ""
	}
	return strings.Join(p.Exec.Command, " ")
}

func (l *Lookup) update(before, after any) {
	if before.(*corev1.Pod).UID != after.(*corev1.Pod).UID {
		// Deleted and made again under its name while the watch was interrupted.
		l.remove(before)
	}
	l.set(after)
}

func (l *Lookup) remove(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted = append(l.deleted, departure{uid: string(pod.UID), forget: l.now().Add(keepDeleted)})
	l.forget()
}

// forget drops deleted pods whose time has come, or that are too many.
func (l *Lookup) forget() {
	now := l.now()
	for len(l.deleted) > 0 && (len(l.deleted) > maxDeleted || !l.deleted[0].forget.After(now)) {
		delete(l.pods, l.deleted[0].uid)
		l.deleted = l.deleted[1:]
	}
}

func (l *Lookup) interrupted(ctx context.Context, _ *cache.Reflector, err error) {
	if ctx.Err() == nil {
		l.log.Warn("following this node's pods was interrupted; trying again", "error", err)
	}
}
