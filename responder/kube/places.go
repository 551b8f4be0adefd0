package kube

import (
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"riposte/responder/playbook"
)

// How long an answer about a place is believed, how long it is not asked again
// after there was none, and how many answers are kept. An old answer does no harm:
// an action that finds another UID under the name leaves it alone.
const (
	believeFor = time.Minute
	silentFor  = 5 * time.Second
	placesMax  = 100_000 // some 20 MB: nodes and workloads of a very large cluster
	placeAsk   = time.Second
)

// Places knows the UIDs of what alerts are about besides pods: the node, the
// namespace, and what the pod is a replica of. It is safe for concurrent use.
type Places struct {
	client kubernetes.Interface
	log    *slog.Logger
	now    func() time.Time
	// asking has several who ask for one place at a time share the answer.
	asking singleflight.Group

	mu    sync.Mutex
	known map[string]place
	// silent is until when nothing is asked: the API server does not answer, and an
	// alert must not wait for it again and again.
	silent time.Time
}

// place is an answer; its UID is empty if there was none.
type place struct {
	playbook.Workload
	until time.Time
}

// NewPlaces makes Places. The client needs the verb get on nodes, namespaces,
// replicasets, statefulsets, daemonsets, jobs and replicationcontrollers; of what it may not
// read nothing is known.
func NewPlaces(client kubernetes.Interface, log *slog.Logger) *Places {
	return &Places{client: client, log: log.With("component", "kube"), now: time.Now, known: map[string]place{}}
}

// Node is the UID of the node of this name, empty if it is not known.
func (p *Places) Node(ctx context.Context, name string) string {
	return p.find(ctx, "node "+name, func(ctx context.Context) (w playbook.Workload, err error) {
		node, err := p.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			w.UID = string(node.UID)
		}
		return w, err
	}).UID
}

// Namespace is the UID of the namespace of this name, empty if it is not known.
func (p *Places) Namespace(ctx context.Context, name string) string {
	return p.find(ctx, "namespace "+name, func(ctx context.Context) (w playbook.Workload, err error) {
		namespace, err := p.client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			w.UID = string(namespace.UID)
		}
		return w, err
	}).UID
}

// Workload is the uppermost controller of a pod: its Deployment, say, not the
// ReplicaSet between them. It is nil for a pod of its own, for a controller of a
// kind that we do not know, and if it cannot be found out now.
func (p *Places) Workload(ctx context.Context, pod *playbook.Pod) *playbook.Workload {
	if pod == nil || pod.Owner == "" {
		return nil
	}
	w := p.find(ctx, "owner "+pod.Namespace+"/"+pod.Owner, func(ctx context.Context) (playbook.Workload, error) {
		return p.uppermost(ctx, pod.Namespace, pod.Owner)
	})
	if w.UID == "" {
		return nil
	}
	return &w
}

// find asks, unless the answer is known.
func (p *Places) find(ctx context.Context, key string, ask func(context.Context) (playbook.Workload, error)) playbook.Workload {
	now := p.now()
	p.mu.Lock()
	at, ok := p.known[key]
	silent := now.Before(p.silent)
	p.mu.Unlock()
	if ok && now.Before(at.until) || silent {
		return at.Workload
	}
	found, _, _ := p.asking.Do(key, func() (any, error) { return p.ask(ctx, key, now, ask), nil })
	return found.(playbook.Workload)
}

// ask asks the API server and remembers the answer.
func (p *Places) ask(ctx context.Context, key string, now time.Time, ask func(context.Context) (playbook.Workload, error)) playbook.Workload {
	ctx, cancel := context.WithTimeout(ctx, placeAsk)
	defer cancel()
	w, err := ask(ctx)
	at := place{Workload: w, until: now.Add(believeFor)}
	if w.UID == "" && !apierrors.IsForbidden(err) { // rights do not come that soon
		at.until = now.Add(silentFor)
	}
	refused := apierrors.IsNotFound(err) || apierrors.IsForbidden(err)
	if err != nil && !apierrors.IsNotFound(err) {
		p.log.Warn("asking for what an alert is about; playbooks are not told its UID", "what", key, "error", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil && !refused {
		p.silent = now.Add(silentFor)
	}
	if len(p.known) >= placesMax {
		maps.DeleteFunc(p.known, func(_ string, at place) bool { return !now.Before(at.until) })
	}
	if len(p.known) >= placesMax {
		clear(p.known) // the live ones are asked for again
	}
	p.known[key] = at
	return w
}

// uppermost reads the controller, written as Kind/name, and the one above it.
func (p *Places) uppermost(ctx context.Context, namespace, owner string) (w playbook.Workload, err error) {
	kind, name, _ := strings.Cut(owner, "/")
	var found metav1.Object
	apps, get := p.client.AppsV1(), metav1.GetOptions{}
	resource := "apps/v1/" + strings.ToLower(kind) + "s"
	switch kind {
	case "ReplicaSet":
		found, err = apps.ReplicaSets(namespace).Get(ctx, name, get)
	case "StatefulSet":
		found, err = apps.StatefulSets(namespace).Get(ctx, name, get)
	case "DaemonSet":
		found, err = apps.DaemonSets(namespace).Get(ctx, name, get)
	case "Job":
		resource = "batch/v1/jobs"
		found, err = p.client.BatchV1().Jobs(namespace).Get(ctx, name, get)
	case "ReplicationController":
		resource = "v1/replicationcontrollers"
		found, err = p.client.CoreV1().ReplicationControllers(namespace).Get(ctx, name, get)
	default:
		return w, nil
	}
	if err != nil {
		return w, err
	}
	w = playbook.Workload{Resource: resource, Namespace: namespace, Name: name, UID: string(found.GetUID())}
	above := metav1.GetControllerOf(found)
	switch {
	case above == nil:
	case above.APIVersion == "apps/v1" && above.Kind == "Deployment":
		w.Resource, w.Name, w.UID = "apps/v1/deployments", above.Name, string(above.UID)
	case above.APIVersion == "batch/v1" && above.Kind == "CronJob":
		w.Resource, w.Name, w.UID = "batch/v1/cronjobs", above.Name, string(above.UID)
	}
	return w, nil
}
