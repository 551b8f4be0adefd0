package campaign

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"riposte/deploy/e2e/kubetest"
)

const namespace = "campaign"

// pods is what happened to every pod that ever was there.
type pods struct {
	cluster *kubetest.Cluster
	mu      sync.Mutex
	// life is by UID.
	life map[string]*life
}

// life is one pod's.
type life struct {
	name string
	// successor: it took the name of one that was deleted, and nobody attacks it.
	successor      bool
	deleting, gone bool
}

// newPods makes n pods on a node, which a stand-in for kubelet ends when they are
// deleted, and one for a controller replaces.
func newPods(t *testing.T, cluster *kubetest.Cluster) *pods {
	t.Helper()
	p := &pods{cluster: cluster, life: map[string]*life{}}
	cluster.CreateNamespace(t, namespace)
	ctx, cancel := context.WithCancel(context.Background())
	watcher, err := cluster.Client.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range watcher.ResultChan() {
			if err := p.see(ctx, e); err != nil && ctx.Err() == nil {
				t.Errorf("the stand-in for a controller: %v", err)
			}
		}
		if ctx.Err() == nil {
			t.Error("the watch of the pods ended: nobody can say what happened to them")
		}
	}()
	t.Cleanup(func() { cancel(); watcher.Stop(); <-done })
	return p
}

func (p *pods) make(t *testing.T, node, prefix string, n int) (made []podTarget) {
	t.Helper()
	for i := range n {
		name := fmt.Sprintf("%s-%s-%d", prefix, node, i)
		uid := p.cluster.CreatePod(t, namespace, name, node)
		made = append(made, podTarget{namespace, name, uid})
	}
	return made
}

// see keeps what the API server tells, and replaces what is gone.
func (p *pods) see(ctx context.Context, e watch.Event) error {
	pod, ok := e.Object.(*corev1.Pod)
	if !ok {
		return fmt.Errorf("the watch says %v", e.Object)
	}
	p.mu.Lock()
	l := p.life[string(pod.UID)]
	if l == nil {
		l = &life{name: pod.Name, successor: pod.Labels["successor"] != ""}
		p.life[string(pod.UID)] = l
	}
	l.deleting = l.deleting || pod.DeletionTimestamp != nil
	l.gone = l.gone || e.Type == watch.Deleted
	gone := l.gone
	p.mu.Unlock()
	if !gone {
		return nil
	}
	next := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, Labels: map[string]string{"successor": "true"}},
		Spec:       corev1.PodSpec{NodeName: pod.Spec.NodeName, Containers: []corev1.Container{{Name: "main", Image: "registry.example/pause:1"}}},
	}
	_, err := p.cluster.Client.CoreV1().Pods(pod.Namespace).Create(ctx, next, metav1.CreateOptions{})
	return err
}

// count is how many pods were deleted, and successors left alone.
func (p *pods) count() (deleted, successors int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.life {
		switch {
		case l.gone:
			deleted++
		case l.successor:
			successors++
		}
	}
	return deleted, successors
}

// of is a copy of one pod's life.
func (p *pods) of(uid string) life {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.life[uid]; l != nil {
		return *l
	}
	return life{}
}

func (p *pods) all() map[string]life {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]life{}
	for uid, l := range p.life {
		all[uid] = *l
	}
	return all
}

// awaitSuccessors waits until whatever was deleted is replaced.
func (p *pods) awaitSuccessors(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { deleted, successors := p.count(); return deleted == successors }, time.Minute, 50*time.Millisecond,
		"a pod that was deleted has no successor, or its successor was deleted too")
}
