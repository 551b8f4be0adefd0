package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"riposte/deploy/e2e/kubetest"
)

const (
	namespaces = 20
	// atOnce is how many requests are under way to make objects.
	atOnce = 24
)

// target is a pod that an alert can be about.
type target struct{ Namespace, Name, UID string }

// fleet is the cluster's nodes with their pods. On each node the first pod is attacked
// at some time, the second replaced now and then, and the others stay.
type fleet struct {
	client  kubernetes.Interface
	nodes   []string
	pods    [][]target // by node
	podSize int

	mu      sync.Mutex
	running map[string]bool // by UID, of those that exist
	gone    map[string]bool
}

// newFleet makes nodes, and pods evenly on them, and returns when all run. The test fails
// when who lets them run has ended.
func newFleet(t *testing.T, cluster *kubetest.Cluster, ended <-chan struct{}, s size) *fleet {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
	require.NoError(t, err)
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	f := &fleet{client: client, running: map[string]bool{}, gone: map[string]bool{}}
	for i := range namespaces {
		cluster.CreateNamespace(t, namespace(i))
	}
	for i := range s.nodes {
		f.nodes = append(f.nodes, fmt.Sprintf("node-%04d.example", i)) // with a dot, as in clouds
	}
	f.pods = make([][]target, s.nodes)
	f.follow(t)
	each(t, s.nodes, func(ctx context.Context, i int) error {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: f.nodes[i]}}
		if _, err := f.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return err
		}
		set, err := f.client.AppsV1().ReplicaSets(namespace(i)).Create(ctx, replicaSet(i), metav1.CreateOptions{})
		if err != nil {
			return err
		}
		for j := range s.pods / s.nodes {
			made, err := f.make(ctx, i, fmt.Sprintf("%s-%05d", set.Name, j), metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet")))
			if err != nil {
				return err
			}
			f.pods[i] = append(f.pods[i], made)
		}
		return nil
	})
	want := s.nodes * (s.pods / s.nodes)
	dead := false
	require.Eventually(t, func() bool {
		select {
		case <-ended:
			dead = true
		default:
		}
		return dead || f.runs() == want
	}, 20*time.Minute, 100*time.Millisecond, "all pods run")
	require.False(t, dead, "kwok has ended")
	b, err := f.client.CoreV1().Pods(namespace(0)).Get(t.Context(), f.pods[0][0].Name, metav1.GetOptions{})
	require.NoError(t, err)
	text, err := json.Marshal(b)
	require.NoError(t, err)
	f.podSize = len(text)
	return f
}

// each does something for 0 to n-1, several at a time.
func each(t *testing.T, n int, do func(ctx context.Context, i int) error) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(atOnce)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	require.NoError(t, g.Wait())
}

func namespace(node int) string { return fmt.Sprintf("team-%02d", node%namespaces) }

// replicaSet owns the pods of a node: nobody makes new ones, and the responder finds it
// when it asks for what a pod is a replica of.
func replicaSet(node int) *appsv1.ReplicaSet {
	name := fmt.Sprintf("cart-%04d-6d5f9c7b48", node)
	labels := map[string]string{"app.kubernetes.io/instance": name}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace(node), Name: name},
		Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: containers()}},
		},
	}
}

// make makes a pod of the size that pods in production have.
func (f *fleet) make(ctx context.Context, node int, name string, owner *metav1.OwnerReference) (target, error) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace(node), Name: name, OwnerReferences: []metav1.OwnerReference{*owner},
			Labels: map[string]string{
				"app.kubernetes.io/name": "cart", "app.kubernetes.io/instance": owner.Name, "app.kubernetes.io/version": "4.17.2",
				"app.kubernetes.io/part-of": "shop", "pod-template-hash": "6d5f9c7b48", "team": namespace(node),
			},
			Annotations: map[string]string{
				"checksum/config": strings.Repeat("8f", 32), "checksum/secret": strings.Repeat("c1", 32), "prometheus.io/port": "9102",
				"example.com/sidecar-status": strings.Repeat(`{"containers":["proxy"],"volumes":["certs"]}`, 8),
			},
		},
		Spec: corev1.PodSpec{NodeName: f.nodes[node], Containers: containers()},
	}
	made, err := f.client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return target{}, err
	}
	return target{pod.Namespace, pod.Name, string(made.UID)}, nil
}

func containers() (all []corev1.Container) {
	for i, name := range []string{"cart", "proxy"} {
		c := corev1.Container{
			Name: name, Image: "registry.example/shop/" + name + ":4.17.2", Ports: []corev1.ContainerPort{{Name: name, ContainerPort: int32(8080 + i)}},
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("256Mi")}},
			LivenessProbe: &corev1.Probe{
				ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/healthy", "--port=8080"}}}, PeriodSeconds: 10,
			},
		}
		for i := range 15 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SHOP_SETTING_%02d", i), Value: fmt.Sprintf("https://service-%02d.shop.svc.cluster.local:8443/v2", i)})
		}
		all = append(all, c)
	}
	return all
}

// follow keeps which pods run and which are gone, as the API server tells.
func (f *fleet) follow(t *testing.T) {
	t.Helper()
	lw := cache.NewListWatchFromClient(f.client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, fields.Everything())
	informer := cache.NewSharedInformer(lw, &corev1.Pod{}, 0)
	require.NoError(t, informer.SetTransform(func(object any) (any, error) {
		if pod, ok := object.(*corev1.Pod); ok {
			short := &corev1.Pod{}
			short.Namespace, short.Name, short.UID, short.ResourceVersion = pod.Namespace, pod.Name, pod.UID, pod.ResourceVersion
			short.Status.Phase = pod.Status.Phase
			return short, nil
		}
		return object, nil
	}))
	see := func(object any) {
		pod := object.(*corev1.Pod)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.running[string(pod.UID)] = pod.Status.Phase == corev1.PodRunning
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    see,
		UpdateFunc: func(_, object any) { see(object) },
		DeleteFunc: func(object any) {
			if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = tombstone.Obj
			}
			pod := object.(*corev1.Pod)
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.running, string(pod.UID))
			f.gone[string(pod.UID)] = true
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); informer.RunWithContext(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// runs is how many pods run.
func (f *fleet) runs() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, yes := range f.running {
		if yes {
			n++
		}
	}
	return n
}

// isGone says whether a pod was there and is not any more.
func (f *fleet) isGone(uid string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gone[uid]
}

// churn replaces one pod of each node a minute until stop is called, which returns how
// many it replaced.
func (f *fleet) churn(t *testing.T) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		n := 0
		tick := time.NewTicker(time.Minute / time.Duration(len(f.nodes)))
		defer tick.Stop()
		var g errgroup.Group
		g.SetLimit(atOnce)
		for {
			select {
			case <-tick.C:
				i := n % len(f.nodes)
				g.Go(func() error { return f.replace(context.WithoutCancel(ctx), i) })
				n++
			case <-ctx.Done():
				if err := g.Wait(); err != nil {
					t.Error("replace a pod:", err)
				}
				done <- n
				return
			}
		}
	}()
	return func() int { cancel(); return <-done }
}

// replace deletes a node's second pod and makes another in its place.
func (f *fleet) replace(ctx context.Context, node int) error {
	old := f.pods[node][1]
	pod, err := f.client.CoreV1().Pods(old.Namespace).Get(ctx, old.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := f.client.CoreV1().Pods(old.Namespace).Delete(ctx, old.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	next, err := f.make(ctx, node, fmt.Sprintf("%s-%d", pod.OwnerReferences[0].Name, time.Now().UnixNano()), &pod.OwnerReferences[0])
	if err != nil {
		return err
	}
	f.pods[node][1] = next
	return nil
}
