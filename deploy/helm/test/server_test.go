package chart_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"riposte/deploy/e2e/kubetest"
)

// server asks a real API server about objects, which it validates and admits, and then
// does not keep.
type server struct {
	*kubetest.Cluster
	dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

func start(t *testing.T) *server {
	t.Helper()
	cluster := kubetest.Start(t)
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
	require.NoError(t, err)
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return &server{cluster, client, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(cluster.Client.Discovery()))}
}

// create refuses unknown fields, as nothing else does.
func (s *server) create(t *testing.T, object map[string]any, dryRun ...string) error {
	t.Helper()
	u := &unstructured.Unstructured{Object: object}
	kind := u.GroupVersionKind()
	mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	require.NoError(t, err)
	_, err = s.dynamic.Resource(mapping.Resource).Namespace(u.GetNamespace()).Create(t.Context(), u,
		metav1.CreateOptions{DryRun: dryRun, FieldValidation: metav1.FieldValidationStrict})
	return err
}

func (s *server) namespace(t *testing.T, name, level string) {
	t.Helper()
	_, err := s.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": level},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// Everything that is rendered is what this API server takes: objects, and the pods that
// controllers would make of their templates. All pods but the agent's meet the level
// "restricted" of the pod security standards.
func TestTheAPIServerTakesIt(t *testing.T) {
	s := start(t)
	s.namespace(t, namespace, "privileged")
	s.namespace(t, "restricted", "restricted")
	seen := map[string]bool{}
	for name, values := range sets(t) {
		for _, object := range objects(t, values) {
			u := &unstructured.Unstructured{Object: object}
			what := name + ": " + u.GetKind() + " " + u.GetName()
			if u.GroupVersionKind().Group == "monitoring.coreos.com" {
				continue // the Prometheus operator's, which is not here
			}
			require.NoError(t, s.create(t, object, metav1.DryRunAll), what)
			template, found, err := unstructured.NestedMap(object, "spec", "template")
			require.NoError(t, err, what)
			if !found {
				continue
			}
			seen[u.GetLabels()["app.kubernetes.io/component"]] = true
			pod := &unstructured.Unstructured{Object: template}
			pod.SetAPIVersion("v1")
			pod.SetKind("Pod")
			pod.SetName("x")
			// The admission of pods looks for the account.
			require.NoError(t, unstructured.SetNestedField(template, "default", "spec", "serviceAccountName"))
			pod.SetNamespace(namespace)
			s.account(t, namespace)
			require.NoError(t, s.create(t, template, metav1.DryRunAll), what)
			pod.SetNamespace("restricted")
			s.account(t, "restricted")
			if err := s.create(t, template, metav1.DryRunAll); u.GetKind() == "DaemonSet" {
				require.ErrorContains(t, err, "violates PodSecurity", what)
			} else {
				require.NoError(t, err, what)
			}
		}
	}
	require.Equal(t, map[string]bool{"agent": true, "responder": true, "keys": true, "migrate": true, "nats": true, "postgres": true}, seen)
}

// account plays the part of the controller that makes each namespace its account.
func (s *server) account(t *testing.T, namespace string) {
	t.Helper()
	accounts := s.Client.CoreV1().ServiceAccounts(namespace)
	if _, err := accounts.Get(t.Context(), "default", metav1.GetOptions{}); err == nil {
		return
	}
	_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// An object that the API server would not take fails the test above.
func TestTheDryRunCanFail(t *testing.T) {
	s := start(t)
	s.namespace(t, namespace, "privileged")
	object := find(t, objects(t, sets(t)["trial"]), "Deployment", "-responder")
	require.NoError(t, unstructured.SetNestedField(object, "x", "spec", "template", "spec", "tolerance"))
	require.ErrorContains(t, s.create(t, object, metav1.DryRunAll), "tolerance")
}
