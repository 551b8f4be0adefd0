// Package kube is the responder's view of Kubernetes: a client for the actions,
// and the [Binder], which checks what an alert says about its pod.
package kube

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Limits of the client. It has none of how many requests it makes: an incident means
// many actions in one second, which client-go's own five a second would stretch to
// minutes. The executor's workers bound how many are under way, the API server's
// priority and fairness how many it takes, and how many effects are allowed at all is
// the guard's matter.
const (
	noLimit        = -1
	dialTimeout    = 3 * time.Second
	connectTimeout = 5 * time.Second
)

// Client is a client of one cluster's API server.
type Client struct {
	kubernetes.Interface
	// Dynamic reads and writes objects of any kind.
	Dynamic dynamic.Interface
	// Server is the API server's address.
	Server string
}

// Connect reads a kubeconfig file and sees once that its API server lets us
// read pods, within five seconds. Without a file ("") it takes the service
// account of the pod that we run in. Its errors name the file and what is wrong
// with it or with the server.
func Connect(ctx context.Context, kubeconfig string) (*Client, error) {
	c, err := Open(kubeconfig)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := c.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		return nil, fmt.Errorf("%s: API server %s: %w", source(kubeconfig), c.Server, explain(err))
	}
	return c, nil
}

func source(kubeconfig string) string {
	if kubeconfig == "" {
		return "the pod's service account"
	}
	return "kubeconfig " + kubeconfig
}

// Open is Connect without a look at the API server.
func Open(kubeconfig string) (*Client, error) {
	source := source(kubeconfig)
	config, err := load(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	config.QPS = noLimit
	config.UserAgent = "riposte-responder"
	// A timeout of the whole client would end watches too, so there are only those
	// that can never be right to wait out, and each request has its context's.
	config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	config.WarningHandler = rest.NoWarnings{}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return &Client{Interface: clientset, Dynamic: objects, Server: config.Host}, nil
}

// load is clientcmd's loading without its defaults, which would turn a file
// that says too little into a try at localhost.
func load(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	file, err := clientcmd.LoadFromFile(kubeconfig)
	if err == nil {
		err = clientcmd.ResolveLocalPaths(file)
	}
	if err != nil {
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			return nil, path.Err // the caller names the file
		}
		return nil, err
	}
	if file.CurrentContext == "" {
		return nil, errors.New("current-context is not set; `kubectl config use-context NAME` sets it")
	}
	use, ok := file.Contexts[file.CurrentContext]
	if !ok {
		return nil, fmt.Errorf("current-context %q is not among its contexts", file.CurrentContext)
	}
	cluster, ok := file.Clusters[use.Cluster]
	if !ok {
		return nil, fmt.Errorf("context %q names the cluster %q, which is not among its clusters", file.CurrentContext, use.Cluster)
	}
	if cluster.Server == "" {
		return nil, fmt.Errorf("cluster %q has no server", use.Cluster)
	}
	if _, ok := file.AuthInfos[use.AuthInfo]; !ok {
		return nil, fmt.Errorf("context %q names the user %q, which is not among its users", file.CurrentContext, use.AuthInfo)
	}
	return clientcmd.NewNonInteractiveClientConfig(*file, file.CurrentContext, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
}

// explain says what a first request's error means for whoever wrote the file.
func explain(err error) error {
	var request *url.Error
	switch {
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("does not accept the credentials: %w", err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("grant list and watch on pods: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %s: %w", connectTimeout, context.DeadlineExceeded)
	case errors.As(err, &request):
		return request.Err // without the method and URL of our probe
	}
	return err
}
