package kube

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// BenchmarkMemoryOfPods is what the Binder keeps of each pod, as the API server sends them.
func BenchmarkMemoryOfPods(b *testing.B) {
	const pods = 20_000
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "127.0.0.1:1"}) // nobody is asked
	require.NoError(b, err)
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		before := used()
		binder, err := newBinder(client, slog.New(slog.DiscardHandler), newDirectory(rememberFor, rememberMax, time.Now))
		require.NoError(b, err)
		for i := range pods {
			yes := true
			wire, err := (&corev1.Pod{ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: fmt.Sprintf("cart-6d5f9c7b48-%05d", i), UID: types.UID(fmt.Sprintf("6a2f6f0e-3c1d-4a53-8f55-%012x", i)), ResourceVersion: "123456789",
				Labels: map[string]string{
					"app.kubernetes.io/name": "cart", "app.kubernetes.io/instance": "cart-6d5f9c7b48", "app.kubernetes.io/version": "4.17.2",
					"app.kubernetes.io/part-of": "shop", "pod-template-hash": "6d5f9c7b48", "team": "checkout",
				},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "cart-6d5f9c7b48", UID: "0b8f7c8e-5a3f-4a53-8f55-1d0c9a7e4b21", Controller: &yes}},
			}, Spec: corev1.PodSpec{NodeName: fmt.Sprintf("node-%04d.example", i/20)}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}}).Marshal()
			require.NoError(b, err)
			pod := &corev1.Pod{}
			require.NoError(b, pod.Unmarshal(wire))
			short, err := strip(pod)
			require.NoError(b, err)
			require.NoError(b, binder.informer.GetIndexer().Add(short))
			binder.set(short.(*followed))
		}
		b.ReportMetric(float64(used()-before)/pods, "B/pod")
		runtime.KeepAlive(binder)
	}
}
