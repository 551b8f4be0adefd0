package kubeobject

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// HostNetwork says whether the pod is in its node's network, where no network
// policy holds it.
func HostNetwork(pod *unstructured.Unstructured) bool {
	host, _, _ := unstructured.NestedBool(pod.Object, "spec", "hostNetwork")
	return host
}

// InHostNetwork is the note about such a pod.
const InHostNetwork = "the pod is in its node's network, where no network policy holds it: use cut_network"

// Selector reads a label selector as the API writes it.
func Selector(raw map[string]any) (labels.Selector, error) {
	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &s); err != nil {
		return nil, Permanent("read a selector: %w", err)
	}
	selector, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil {
		return nil, Permanent("read a selector: %w", err)
	}
	return selector, nil
}

// Opened names the NetworkPolicies but the one of the name except that select the
// pod and allow it something. Policies only add permissions, so that each of them
// opens what ours denies.
func (c *Client) Opened(ctx context.Context, pod *unstructured.Unstructured, except string) (by []string, err error) {
	var wrong error
	policies := To(NetworkPolicies, pod.GetNamespace(), "", "")
	err = c.List(ctx, policies, metav1.ListOptions{}, func(o *unstructured.Unstructured) {
		raw, _, _ := unstructured.NestedMap(o.Object, "spec", "podSelector")
		selector, err := Selector(raw)
		if err != nil {
			wrong = err
			return
		}
		ingress, _, _ := unstructured.NestedSlice(o.Object, "spec", "ingress")
		egress, _, _ := unstructured.NestedSlice(o.Object, "spec", "egress")
		if o.GetName() != except && selector.Matches(labels.Set(pod.GetLabels())) && len(ingress)+len(egress) > 0 {
			by = append(by, o.GetName())
		}
	})
	slices.Sort(by)
	if err == nil {
		err = wrong
	}
	return by, err
}

// Opens is the note about those policies.
func Opens(by []string) string {
	return "it is opened again by the NetworkPolicies " + strings.Join(by, ", ")
}

// maxCIDRs bounds a list of networks.
const maxCIDRs = 100

// CIDRs checks a param's list of addresses and networks and writes each as a network.
func CIDRs(param string, list []string) ([]any, error) {
	if len(list) > maxCIDRs {
		return nil, fmt.Errorf("params.%s: has %d networks, %d are allowed", param, len(list), maxCIDRs)
	}
	out := []any{}
	for _, text := range list {
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			out = append(out, netip.PrefixFrom(a, a.BitLen()).String())
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("params.%s: %.60q is neither an address nor a network such as 10.0.0.0/8", param, text)
		}
		out = append(out, p.Masked().String())
	}
	return out, nil
}
