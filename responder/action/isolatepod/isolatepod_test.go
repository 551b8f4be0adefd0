package isolatepod_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/isolatepod"
	"riposte/responder/action/kubeobject"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func isolate(c *kubeobject.Client, _ kubernetes.Interface) action.Action { return isolatepod.New(c) }

// shop is a pod with a controller and a Service, and its labels.
type shop struct {
	cluster   *kubetest.Cluster
	namespace string
	pod       action.Target
	set       action.Target
}

var podLabels = map[string]string{"app": "cart", "pod-template-hash": "6d5", "team": "blue"}

func open(t *testing.T, namespace string, changes ...func(*corev1.Pod)) shop {
	cluster := kubetest.Shared(t)
	s := shop{cluster: cluster, namespace: namespace}
	s.set = actiontest.Workload(t, cluster, kubeobject.ReplicaSets, namespace, "cart", func(o *unstructured.Unstructured) {
		labels := map[string]any{"app": "cart", "pod-template-hash": "6d5"}
		_ = unstructured.SetNestedMap(o.Object, labels, "spec", "selector", "matchLabels")
		_ = unstructured.SetNestedMap(o.Object, labels, "spec", "template", "metadata", "labels")
	})
	yes := true
	all := append([]func(*corev1.Pod){kubetest.Labels(podLabels), func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "cart", UID: types.UID(s.set.UID), Controller: &yes}}
	}}, changes...)
	s.pod = actiontest.Pod(namespace, "cart-6d5-x", cluster.CreatePod(t, namespace, "cart-6d5-x", "node-1", all...))
	s.service(t, "cart", map[string]string{"app": "cart"})
	s.service(t, "other", map[string]string{"app": "other"})
	s.service(t, "external", nil)
	return s
}

func (s shop) service(t *testing.T, name string, selector map[string]string) {
	_, err := s.cluster.Client.CoreV1().Services(s.namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func (s shop) policy(t *testing.T, name string, spec networkingv1.NetworkPolicySpec) {
	_, err := s.cluster.Client.NetworkingV1().NetworkPolicies(s.namespace).Create(t.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec,
	}, metav1.CreateOptions{FieldManager: "kubectl"})
	require.NoError(t, err)
}

// ours is the policy that the action made, nil if there is none.
func (s shop) ours(t *testing.T) *networkingv1.NetworkPolicy {
	p, err := s.cluster.Client.NetworkingV1().NetworkPolicies(s.namespace).Get(t.Context(), "riposte-isolate-"+s.pod.UID, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(t, err)
	return p
}

func (s shop) labels(t *testing.T) map[string]string {
	return actiontest.Get(t, s.cluster, s.pod).GetLabels()
}

func TestIsolateAndBack(t *testing.T) {
	s := open(t, "isolate")
	// Whatever selected the pod by its labels does not any more, and a policy that
	// allows nothing does no harm.
	s.policy(t, "allow-cart", networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}}, Ingress: []networkingv1.NetworkPolicyIngressRule{{}},
	})
	s.policy(t, "deny-all", networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{"Ingress"}})
	a := actiontest.Declared(t, s.cluster, isolate)
	require.NoError(t, a.Check(s.pod, json.RawMessage(a.Spec().Example)))
	r := actiontest.Request(a, s.pod, "")

	was := actiontest.Get(t, s.cluster, s.pod)
	text, err := a.(action.Previewer).Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, "-    app: cart\n")
	require.Contains(t, text, "+    riposte.dev/isolated: "+s.pod.UID)
	require.Contains(t, text, "+kind: NetworkPolicy")
	require.Equal(t, was, actiontest.Get(t, s.cluster, s.pod), "a preview changes nothing")
	require.Nil(t, s.ours(t))

	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "took the pod out of its Services and from its controller; NetworkPolicy riposte-isolate-"+s.pod.UID+" denies it all traffic", result.Note)
	require.Equal(t, map[string]string{"team": "blue", "riposte.dev/isolated": s.pod.UID}, s.labels(t))
	p := s.ours(t)
	require.Equal(t, networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"riposte.dev/isolated": s.pod.UID}},
		PolicyTypes: []networkingv1.PolicyType{"Ingress", "Egress"},
	}, p.Spec)
	require.Equal(t, "riposte", p.Labels["app.kubernetes.io/managed-by"])
	require.Equal(t, types.UID(s.pod.UID), p.OwnerReferences[0].UID, "it goes with the pod")
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.NoError(t, err)

	// After a crash the same request comes again.
	r.Attempt = 2
	again, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.JSONEq(t, string(result.Before), string(again.Before))
	require.Equal(t, p, s.ours(t))

	r.Before = result.Before
	for range 2 {
		_, err = a.(action.Undoer).Undo(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, podLabels, s.labels(t))
		require.Empty(t, actiontest.Get(t, s.cluster, s.pod).GetAnnotations())
		require.Nil(t, s.ours(t))
	}
}

// The process ends between the policy and the labels.
func TestCrashBetweenPolicyAndLabels(t *testing.T) {
	s := open(t, "crash")
	a := actiontest.Declared(t, s.cluster, isolate)
	r := actiontest.Request(a, s.pod, "")
	// Without the right to change pods the first attempt stops there.
	some := actiontest.Connect(t, s.cluster.As(t, "some"), isolate)
	s.cluster.Grant(t, "some", slices.DeleteFunc(slices.Clone(a.Spec().Permissions), func(p string) bool { return p == "patch pods" })...)
	_, err := some.Execute(t.Context(), r)
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "patch pods"`)
	require.NotNil(t, s.ours(t))
	require.Equal(t, podLabels, s.labels(t))

	r.Attempt = 2
	_, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.NoError(t, err)
	undone, err := a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err, "even without the record: the note is on the pod")
	require.Contains(t, undone.Note, "brought back")
	require.Equal(t, podLabels, s.labels(t))
}

// A policy that selects every pod of the namespace still opens the pod.
func TestAnotherPolicyOpensItAgain(t *testing.T) {
	s := open(t, "opened")
	s.policy(t, "allow-dns", networkingv1.NetworkPolicySpec{Egress: []networkingv1.NetworkPolicyEgressRule{{}}, PolicyTypes: []networkingv1.PolicyType{"Egress"}})
	a := actiontest.Declared(t, s.cluster, isolate)
	r := actiontest.Request(a, s.pod, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "it is opened again by the NetworkPolicies allow-dns")
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "opened again by the NetworkPolicies allow-dns")
	theirs, err := s.cluster.Client.NetworkingV1().NetworkPolicies(s.namespace).Get(t.Context(), "allow-dns", metav1.GetOptions{})
	require.NoError(t, err)
	require.Len(t, theirs.Spec.Egress, 1, "it is not ours to touch")
}

// Somebody has a policy of the name that ours would have.
func TestSomebodyElsesPolicyOfOurName(t *testing.T) {
	s := open(t, "taken")
	s.policy(t, "riposte-isolate-"+s.pod.UID, networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{}}})
	was := s.ours(t)
	a := actiontest.Declared(t, s.cluster, isolate)
	_, err := a.Execute(t.Context(), actiontest.Request(a, s.pod, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "is somebody else's, and is left alone")
	require.Equal(t, was, s.ours(t))
	require.Equal(t, podLabels, s.labels(t))
	result, err := a.(action.Undoer).Undo(t.Context(), actiontest.Request(a, s.pod, ""))
	require.NoError(t, err)
	require.Contains(t, result.Note, "somebody else has changed it since")
	require.Equal(t, was, s.ours(t))
}

func TestUndoAfterSomebodyElsesChange(t *testing.T) {
	s := open(t, "undo")
	a := actiontest.Declared(t, s.cluster, isolate)
	r := actiontest.Request(a, s.pod, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	actiontest.Edit(t, s.cluster, s.pod, func(o *unstructured.Unstructured) {
		labels := o.GetLabels()
		labels["app"] = "forensics"
		o.SetLabels(labels)
	})
	policy := action.Target{Kind: action.KindObject, Resource: kubeobject.NetworkPolicies, Namespace: s.namespace, Name: "riposte-isolate-" + s.pod.UID}
	actiontest.Edit(t, s.cluster, policy, func(o *unstructured.Unstructured) {
		require.NoError(t, unstructured.SetNestedSlice(o.Object, []any{map[string]any{}}, "spec", "ingress"))
	})
	_, err = a.Verify(actiontest.Soon(t, 300*time.Millisecond), r)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "somebody else has changed it")

	r.Before = result.Before
	result, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "left metadata.labels.app alone")
	require.Contains(t, result.Note, "left networkpolicy undo/riposte-isolate-"+s.pod.UID+" alone")
	require.Equal(t, map[string]string{"app": "forensics", "pod-template-hash": "6d5", "team": "blue"}, s.labels(t))
	require.NotNil(t, s.ours(t))
}

// Two actions isolate the pod; the end of the later one must not open it.
func TestUndoOfASecondIsolation(t *testing.T) {
	s := open(t, "twice")
	a := actiontest.Declared(t, s.cluster, isolate)
	_, err := a.Execute(t.Context(), actiontest.Request(a, s.pod, ""))
	require.NoError(t, err)
	r := actiontest.Request(a, s.pod, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	r.Before = result.Before
	result, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "isolated by another action still")
	require.NotNil(t, s.ours(t))
	require.Equal(t, s.pod.UID, s.labels(t)["riposte.dev/isolated"])
}

func TestGoneAndReplaced(t *testing.T) {
	s := open(t, "gone")
	a := actiontest.Declared(t, s.cluster, isolate)
	successor := s.pod
	successor.UID = actiontest.Replace(t, s.cluster, s.pod)
	was := actiontest.Get(t, s.cluster, successor)
	r := actiontest.Request(a, s.pod, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "replaced by another of its name ("+successor.UID+"), which was left alone")
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.NoError(t, err)
	_, err = a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, was, actiontest.Get(t, s.cluster, successor))
	require.Nil(t, s.ours(t))
}

func TestHostNetworkIsNotHeld(t *testing.T) {
	s := open(t, "host", func(pod *corev1.Pod) { pod.Spec.HostNetwork = true })
	a := actiontest.Declared(t, s.cluster, isolate)
	r := actiontest.Request(a, s.pod, "")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "use cut_network")
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "no network policy holds it")
}

// A controller that takes every pod without some label cannot be left by losing labels.
func TestSelectorOfWhatIsNotThere(t *testing.T) {
	s := open(t, "negative")
	// The API allows such a selector in addition to what the template has.
	set := actiontest.Workload(t, s.cluster, kubeobject.ReplicaSets, "negative", "greedy", func(o *unstructured.Unstructured) {
		_ = unstructured.SetNestedMap(o.Object, map[string]any{"matchExpressions": []any{map[string]any{"key": "safe", "operator": "DoesNotExist"}}}, "spec", "selector")
	})
	yes := true
	uid := s.cluster.CreatePod(t, "negative", "greedy-x", "node-1", func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "greedy", UID: types.UID(set.UID), Controller: &yes}}
	})
	a := actiontest.Declared(t, s.cluster, isolate)
	_, err := a.Execute(t.Context(), actiontest.Request(a, actiontest.Pod("negative", "greedy-x", uid), ""))
	require.Equal(t, action.Refused, action.KindOf(err))
	require.ErrorContains(t, err, "ReplicaSet greedy selects pods by what labels they do not have")
	policies, err := s.cluster.Client.NetworkingV1().NetworkPolicies("negative").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, policies.Items, "nothing is left half done")
}

func TestPodOfItsOwn(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, isolate)
	target := actiontest.Pod("own", "cart", cluster.CreatePod(t, "own", "cart", "node-1"))
	result, err := a.Execute(t.Context(), actiontest.Request(a, target, ""))
	require.NoError(t, err)
	require.Contains(t, result.Note, "the pod has no controller: nothing replaces it")
}
