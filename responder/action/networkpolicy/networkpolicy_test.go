package networkpolicy_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/kubeobject"
	"riposte/responder/action/networkpolicy"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func native(c *kubeobject.Client, _ kubernetes.Interface) action.Action { return networkpolicy.New(c) }

func cilium(c *kubeobject.Client, _ kubernetes.Interface) action.Action {
	return networkpolicy.NewCilium(c)
}

func calico(c *kubeobject.Client, _ kubernetes.Interface) action.Action {
	return networkpolicy.NewCalico(c)
}

// install makes a custom resource definition that takes any spec, and waits until
// the API server serves it.
func install(t *testing.T, cluster *kubetest.Cluster, resource, kind string) {
	ref := kubeobject.To(resource, "", "", "")
	name := ref.Resource.Resource + "." + ref.Resource.Group
	admin := actiontest.Admin(t, cluster)
	definitions := admin.Resource(kubeobject.To("apiextensions.k8s.io/v1/customresourcedefinitions", "", "", "").Resource)
	_, err := definitions.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"group": ref.Resource.Group, "scope": "Namespaced",
			"names": map[string]any{"plural": ref.Resource.Resource, "singular": strings.ToLower(kind), "kind": kind},
			"versions": []any{map[string]any{"name": ref.Resource.Version, "served": true, "storage": true, "schema": map[string]any{
				"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
					"spec": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
				}},
			}}},
		},
	}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return
	}
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := admin.Resource(ref.Resource).Namespace("default").List(t.Context(), metav1.ListOptions{})
		return err == nil
	}, 30*time.Second, 50*time.Millisecond)
}

// kinds are the three actions and where their policies are.
var kinds = map[string]struct {
	make           actiontest.Make
	resource, kind string
	params         string
}{
	"native": {native, kubeobject.NetworkPolicies, "NetworkPolicy", `{"allow_cidrs": ["10.0.0.0/8"]}`},
	"cilium": {cilium, "cilium.io/v2/ciliumnetworkpolicies", "CiliumNetworkPolicy", `{"deny_cidrs": ["203.0.113.7"]}`},
	"calico": {calico, "projectcalico.org/v3/networkpolicies", "NetworkPolicy", `{"deny_cidrs": ["203.0.113.7"]}`},
}

// policies are the ones in the namespace.
func policies(t *testing.T, cluster *kubetest.Cluster, resource, namespace string) []unstructured.Unstructured {
	list, err := actiontest.Admin(t, cluster).Resource(kubeobject.To(resource, "", "", "").Resource).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	return list.Items
}

func TestPolicies(t *testing.T) {
	cluster := kubetest.Shared(t)
	for name, k := range kinds {
		t.Run(name, func(t *testing.T) {
			if name != "native" {
				install(t, cluster, k.resource, k.kind)
			}
			actiontest.Conform(t, actiontest.Case{
				Make: k.make, Params: k.params, Refusal: "get pods",
				Target: func(t testing.TB, cluster *kubetest.Cluster, pod string) action.Target {
					return actiontest.Pod(name, pod, cluster.CreatePod(t, name, pod, "node-1", kubetest.Labels(map[string]string{"app": "cart"})))
				},
			})
			// Each test of Conform that undid took its policy with it.
			for _, p := range policies(t, cluster, k.resource, name) {
				require.NotContains(t, p.GetOwnerReferences()[0].Name, "undo-crash")
				require.NotEqual(t, "undo", p.GetOwnerReferences()[0].Name)
			}

			target := actiontest.Pod(name, "cart", cluster.CreatePod(t, name, "cart", "node-1"))
			a := actiontest.Declared(t, cluster, k.make)
			r := actiontest.Request(a, target, k.params)
			result, err := a.Execute(t.Context(), r)
			require.NoError(t, err)
			var after struct{ Policy string }
			require.NoError(t, json.Unmarshal(result.After, &after))
			made := action.Target{Kind: action.KindObject, Resource: k.resource, Namespace: name, Name: after.Policy}
			policy := actiontest.Get(t, cluster, made)
			require.Equal(t, target.UID, string(policy.GetOwnerReferences()[0].UID), "it goes with the pod")
			label := ""
			for key, value := range actiontest.Get(t, cluster, target).GetLabels() {
				if value == target.UID {
					label = key
				}
			}
			require.NotEmpty(t, label)
			text, err := json.Marshal(policy.Object["spec"])
			require.NoError(t, err)
			require.Contains(t, string(text), label)
			require.Contains(t, string(text), target.UID)

			// Another policy of the action for the same pod is another one, and its end is
			// not the first one's.
			other := actiontest.Request(a, target, `{}`)
			_, err = a.Execute(t.Context(), other)
			require.NoError(t, err)
			_, err = a.(action.Undoer).Undo(t.Context(), other)
			require.NoError(t, err)
			require.Equal(t, policy, actiontest.Get(t, cluster, made))
			_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
			require.NoError(t, err)

			// Somebody changes the policy: it is theirs from then on.
			actiontest.Edit(t, cluster, made, func(o *unstructured.Unstructured) { o.SetAnnotations(map[string]string{"note": "kept"}) })
			_, err = a.Execute(t.Context(), r)
			require.ErrorContains(t, err, "is somebody else's, and is left alone")
			r.Before = result.Before
			undone, err := a.(action.Undoer).Undo(t.Context(), r)
			require.NoError(t, err)
			require.Contains(t, undone.Note, "brought back metadata.labels."+label)
			require.Contains(t, undone.Note, "somebody else has changed it since")
			require.Equal(t, "kept", actiontest.Get(t, cluster, made).GetAnnotations()["note"])
		})
	}
}

func TestWhatThePoliciesSay(t *testing.T) {
	cluster := kubetest.Shared(t)
	spec := func(name, params string) string {
		k := kinds[name]
		if name != "native" {
			install(t, cluster, k.resource, k.kind)
		}
		pod := strings.ToLower(t.Name()) + "-" + name + "-" + time.Now().Format("150405.000000")
		target := actiontest.Pod("say", pod, cluster.CreatePod(t, "say", pod, "node-1"))
		a := actiontest.Connect(t, cluster.Kubeconfig, k.make)
		require.NoError(t, a.Check(target, json.RawMessage(params)))
		result, err := a.Execute(t.Context(), actiontest.Request(a, target, params))
		require.NoError(t, err)
		var after struct{ Spec map[string]any }
		require.NoError(t, json.Unmarshal(result.After, &after))
		for _, selector := range []string{"podSelector", "endpointSelector", "selector"} {
			delete(after.Spec, selector)
		}
		text, err := json.Marshal(after.Spec)
		require.NoError(t, err)
		return string(text)
	}
	require.JSONEq(t, `{"policyTypes": ["Ingress", "Egress"]}`, spec("native", `{}`))
	require.JSONEq(t, `{"policyTypes": ["Egress"], "egress": [
		{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"ipBlock": {"cidr": "2001:db8::1/128"}}, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]},
		{"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
	]}`, spec("native", `{"ingress": false, "allow_cidrs": ["10.1.2.3/8", "2001:db8::1"], "allow_namespaces": ["monitoring"], "allow_dns": true}`))
	require.JSONEq(t, `{"ingressDeny": [{"fromEntities": ["all"]}], "egressDeny": [{"toEntities": ["all"]}]}`, spec("cilium", `{}`))
	require.JSONEq(t, `{"ingressDeny": [{"fromCIDR": ["203.0.113.7/32"]}], "egressDeny": [{"toCIDR": ["203.0.113.7/32"]}], "enableDefaultDeny": {"ingress": false, "egress": false}}`,
		spec("cilium", `{"deny_cidrs": ["203.0.113.7"]}`))
	require.JSONEq(t, `{"tier": "default", "order": 0, "types": ["Ingress", "Egress"], "ingress": [{"action": "Deny"}], "egress": [{"action": "Deny"}]}`, spec("calico", `{}`))
	require.JSONEq(t, `{"tier": "default", "order": 0, "types": ["Ingress", "Egress"],
		"ingress": [{"action": "Deny", "source": {"nets": ["203.0.113.0/24"]}}], "egress": [{"action": "Deny", "destination": {"nets": ["203.0.113.0/24"]}}]}`,
		spec("calico", `{"deny_cidrs": ["203.0.113.7/24"]}`))
}

func TestAnotherPolicyOpensItAgain(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, native)
	target := actiontest.Pod("opened", "cart", cluster.CreatePod(t, "opened", "cart", "node-1"))
	actiontest.Create(t, cluster, action.KindObject, kubeobject.NetworkPolicies, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": map[string]any{"namespace": "opened", "name": "allow-all"},
		"spec": map[string]any{"podSelector": map[string]any{}, "ingress": []any{map[string]any{}}},
	}})
	r := actiontest.Request(a, target, "{}")
	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, result.Note, "it is opened again by the NetworkPolicies allow-all")
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "allow-all")
}

func TestHostNetworkIsNotHeld(t *testing.T) {
	cluster := kubetest.Shared(t)
	install(t, cluster, kinds["cilium"].resource, kinds["cilium"].kind)
	uid := cluster.CreatePod(t, "host", "cart", "node-1", func(pod *corev1.Pod) { pod.Spec.HostNetwork = true })
	for _, m := range []actiontest.Make{native, cilium} {
		a := actiontest.Declared(t, cluster, m)
		r := actiontest.Request(a, actiontest.Pod("host", "cart", uid), "{}")
		result, err := a.Execute(t.Context(), r)
		require.NoError(t, err)
		require.Contains(t, result.Note, "use cut_network")
		_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
		require.Equal(t, action.Permanent, action.KindOf(err))
	}
}

// On a cluster without Cilium the answer is plain, and final.
func TestNoSuchResource(t *testing.T) {
	cluster := kubetest.Start(t)
	a := actiontest.Connect(t, cluster.Kubeconfig, cilium)
	target := actiontest.Pod("none", "cart", cluster.CreatePod(t, "none", "cart", "node-1"))
	_, err := a.Execute(t.Context(), actiontest.Request(a, target, "{}"))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "the cluster knows no such resource, or no such namespace")
}

func TestParams(t *testing.T) {
	target := actiontest.Pod("shop", "cart", "u")
	for params, want := range map[string]string{
		`{"ingress": false, "egress": false}`:                                    "nothing would be denied",
		`{"egress": false, "allow_dns": true}`:                                   "params.allow_dns: outgoing traffic is not denied at all",
		`{"allow_cidrs": ["10.0.0.0/33"]}`:                                       `params.allow_cidrs: "10.0.0.0/33" is neither an address nor a network`,
		`{"allow_cidrs": ["fe80::1%eth0"]}`:                                      "params.allow_cidrs: ",
		`{"allow_namespaces": ["kube_system"]}`:                                  `params.allow_namespaces: "kube_system": `,
		`{"allow_cidr": ["10.0.0.0/8"]}`:                                         `unknown key "allow_cidr": apply_network_policy knows ingress`,
		`{"allow_cidrs": ["` + strings.Repeat(`1.1.1.1", "`, 100) + `1.1.1.1"]}`: "has 101 networks, 100 are allowed",
	} {
		require.ErrorContains(t, networkpolicy.New(nil).Check(target, json.RawMessage(params)), want, params)
	}
	require.ErrorContains(t, networkpolicy.NewCilium(nil).Check(target, json.RawMessage(`{"deny_cidrs": ["example.com"]}`)), "params.deny_cidrs: ")
	require.ErrorContains(t, networkpolicy.NewCalico(nil).Check(target, json.RawMessage(`{"deny_cidrs": ["' || true"]}`)), "params.deny_cidrs: ")
}
