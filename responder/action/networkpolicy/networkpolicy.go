// Package networkpolicy makes a network policy for exactly one pod: the one that
// Kubernetes has itself, or Cilium's or Calico's, which can deny what others allow.
package networkpolicy

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// The names that playbooks use.
const (
	Type       = "apply_network_policy"
	CiliumType = "cilium_network_policy"
	CalicoType = "calico_network_policy"
)

// permissions are those of every such action.
func permissions(resource string) []string {
	return append(kubeobject.Permissions("get patch", kubeobject.Pods), kubeobject.Permissions("get create patch delete", resource)...)
}

var spec = action.Spec{
	Type:        Type,
	Summary:     "Deny the pod all traffic but what is listed, by a NetworkPolicy for this pod alone. The pod keeps its labels, its Services and its controller. Other policies that select it open more: they are named, and then the effect is not verified.",
	Kind:        action.KindPod,
	Permissions: append(permissions(kubeobject.NetworkPolicies), kubeobject.Permissions("list", kubeobject.NetworkPolicies)...),
	Params: []action.Param{
		{Name: "ingress", Type: "bool", Default: "true", Desc: "Whether incoming traffic is denied."},
		{Name: "egress", Type: "bool", Default: "true", Desc: "Whether outgoing traffic is denied."},
		{Name: "allow_cidrs", Type: "list", Desc: "Addresses and networks that stay allowed, at most 100."},
		{Name: "allow_namespaces", Type: "list", Desc: "Namespaces whose pods stay allowed, at most 100."},
		{Name: "allow_dns", Type: "bool", Default: "false", Desc: "Whether names can still be looked up: port 53 of every destination."},
	},
	Example: `{"egress": true, "ingress": false, "allow_cidrs": ["10.0.0.0/8"], "allow_dns": true}`,
}

// New makes the action.
func New(client *kubeobject.Client) action.Undoer {
	return &kubeobject.PodPolicy{
		Client: client, Of: spec, Resource: kubeobject.NetworkPolicies, APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Build: build,
		Notes: func(ctx context.Context, pod *unstructured.Unstructured, policy string) ([]string, error) {
			if kubeobject.HostNetwork(pod) {
				return []string{kubeobject.InHostNetwork}, nil
			}
			open, err := client.Opened(ctx, pod, policy)
			if err != nil || len(open) == 0 {
				return nil, err
			}
			return []string{kubeobject.Opens(open)}, nil
		},
	}
}

type params struct {
	Ingress         bool     `json:"ingress"`
	Egress          bool     `json:"egress"`
	AllowCIDRs      []string `json:"allow_cidrs"`
	AllowNamespaces []string `json:"allow_namespaces"`
	AllowDNS        bool     `json:"allow_dns"`
}

func build(key, value string, raw json.RawMessage) (map[string]any, error) {
	p := params{Ingress: true, Egress: true}
	if err := spec.Decode(raw, &p); err != nil {
		return nil, err
	}
	peers, err := p.peers()
	if err != nil {
		return nil, err
	}
	types := []any{}
	policy := map[string]any{"podSelector": map[string]any{"matchLabels": map[string]any{key: value}}}
	if p.Ingress {
		types = append(types, "Ingress")
		if len(peers) > 0 {
			policy["ingress"] = []any{map[string]any{"from": peers}}
		}
	}
	if p.Egress {
		types = append(types, "Egress")
		var rules []any
		if len(peers) > 0 {
			rules = append(rules, map[string]any{"to": peers})
		}
		if p.AllowDNS {
			rules = append(rules, map[string]any{"ports": []any{
				map[string]any{"protocol": "UDP", "port": int64(53)}, map[string]any{"protocol": "TCP", "port": int64(53)},
			}})
		}
		if len(rules) > 0 {
			policy["egress"] = rules
		}
	}
	policy["policyTypes"] = types
	return policy, nil
}
