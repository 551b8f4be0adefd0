package kube

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// follow lists and watches all pods for an informer.
//
// An informer deals by itself with two errors of a watch, a refused connection
// and 429: it tells nobody, and while it waits for its next try it cannot be
// stopped, for up to a minute. So these two lose their type here and are
// treated as any other error.
func follow(client kubernetes.Interface) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			w, err := client.CoreV1().Pods(metav1.NamespaceAll).Watch(ctx, options)
			if utilnet.IsConnectionRefused(err) || apierrors.IsTooManyRequests(err) {
				err = errors.New(err.Error())
			}
			return w, err
		},
	}
}
