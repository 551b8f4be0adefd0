package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The tests of the cluster (../node) ask real packets; these look at what only the
// script shows.

func pod(namespace, name, address string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-of-" + name), Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{NodeName: "here", Containers: []corev1.Container{{Ports: []corev1.ContainerPort{
			{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP},
		}}}},
		Status: corev1.PodStatus{PodIP: address, Phase: corev1.PodRunning},
	}
}

func policy(namespace string, spec netv1.NetworkPolicySpec) *netv1.NetworkPolicy {
	return &netv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "policy"}, Spec: spec}
}

func TestTableIsWhatNftablesTakes(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("nft needs root even to check a script")
		}
		t.Skip("nft needs root even to check a script")
	}
	tcp, sctp := corev1.ProtocolTCP, corev1.ProtocolSCTP
	web, low, last := intstr.FromString("web"), intstr.FromInt32(80), int32(90)
	w := world{
		pods:       []*corev1.Pod{pod("a", "one", "10.0.0.1"), pod("a", "two", "10.0.0.2"), pod("b", "three", "10.0.0.3")},
		namespaces: map[string]labels.Set{"a": {"team": "red"}, "b": {"team": "blue"}},
		policies: []*netv1.NetworkPolicy{policy("a", netv1.NetworkPolicySpec{
			PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeIngress, netv1.PolicyTypeEgress},
			Ingress: []netv1.NetworkPolicyIngressRule{{
				From: []netv1.NetworkPolicyPeer{
					{NamespaceSelector: &metav1.LabelSelector{}},
					{IPBlock: &netv1.IPBlock{CIDR: "10.0.0.0/8", Except: []string{"10.1.0.0/16", "10.2.0.0/16"}}},
					{IPBlock: &netv1.IPBlock{CIDR: "fd00::/8"}},
				},
				Ports: []netv1.NetworkPolicyPort{{Port: &web}, {Protocol: &tcp, Port: &low, EndPort: &last}, {Protocol: &sctp}},
			}},
			Egress: []netv1.NetworkPolicyEgressRule{{}},
		})},
	}
	cmd := exec.CommandContext(t.Context(), "nft", "--check", "--file", "-")
	cmd.Stdin = strings.NewReader(w.table("here"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, w.table("here"))
}

func TestPeers(t *testing.T) {
	w := world{
		pods:       []*corev1.Pod{pod("a", "one", "10.0.0.1"), pod("a", "two", "10.0.0.2"), pod("b", "three", "10.0.0.3")},
		namespaces: map[string]labels.Set{"a": {"team": "red"}, "b": {"team": "blue"}},
	}
	choose := func(key, value string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
	for name, c := range map[string]struct {
		list []netv1.NetworkPolicyPeer
		want []string
	}{
		"an empty list is everybody":             {nil, []string{""}},
		"pods are of the policy's own namespace": {[]netv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{}}}, []string{"ip saddr { 10.0.0.1, 10.0.0.2 }"}},
		"a namespace is all its pods":            {[]netv1.NetworkPolicyPeer{{NamespaceSelector: choose("team", "blue")}}, []string{"ip saddr { 10.0.0.3 }"}},
		"two selectors in one peer both hold":    {[]netv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{}, PodSelector: choose("app", "two")}}, []string{"ip saddr { 10.0.0.2 }"}},
		"two peers add up": {
			[]netv1.NetworkPolicyPeer{{NamespaceSelector: choose("team", "blue")}, {PodSelector: choose("app", "one")}},
			[]string{"ip saddr { 10.0.0.3 }", "ip saddr { 10.0.0.1 }"},
		},
		"a selector that nobody meets is nobody": {[]netv1.NetworkPolicyPeer{{PodSelector: choose("app", "nobody")}}, nil},
		"a block of IPv6 is nobody":              {[]netv1.NetworkPolicyPeer{{IPBlock: &netv1.IPBlock{CIDR: "fd00::/8"}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, cross(w.peers("saddr", "a", c.list), nil, w.pods[0]))
		})
	}
}

func TestOnlyPodsOfThisNodeWithAnAddressAreJudged(t *testing.T) {
	elsewhere, waiting, finished, host := pod("a", "elsewhere", "10.0.0.4"), pod("a", "waiting", ""), pod("a", "finished", "10.0.0.5"), pod("a", "host", "10.77.0.1")
	elsewhere.Spec.NodeName = "there"
	finished.Status.Phase = corev1.PodSucceeded
	host.Spec.HostNetwork = true
	w := world{
		pods:     []*corev1.Pod{pod("a", "one", "10.0.0.1"), elsewhere, waiting, finished, host},
		policies: []*netv1.NetworkPolicy{policy("a", netv1.NetworkPolicySpec{PolicyTypes: []netv1.PolicyType{netv1.PolicyTypeIngress}})},
	}
	table := w.table("here")
	require.Contains(t, table, "ip daddr vmap { 10.0.0.1 : jump ingress_uidofone }")
	require.Len(t, w.pods, 5, "the caller's list is as it was")
}

func TestNamedPortsOfEgressAreEachPeersOwn(t *testing.T) {
	other := pod("a", "other", "10.0.0.2")
	other.Spec.Containers[0].Ports[0].ContainerPort = 9090
	web := intstr.FromString("web")
	rules := cross([]peer{{match: "ip daddr { 10.0.0.1, 10.0.0.2 }", pods: []*corev1.Pod{pod("a", "one", "10.0.0.1"), other}}}, []netv1.NetworkPolicyPort{{Port: &web}}, nil)
	require.Equal(t, []string{
		"ip daddr { 10.0.0.1, 10.0.0.2 } ip daddr 10.0.0.1 tcp dport 8080",
		"ip daddr { 10.0.0.1, 10.0.0.2 } ip daddr 10.0.0.2 tcp dport 9090",
	}, rules)
}
