package networkpolicy

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// denyParam is the one param of the policies that can deny.
var denyParam = []action.Param{{
	Name: "deny_cidrs", Type: "list", Default: "everything", Desc: "Addresses and networks that the pod may not talk to, in either direction, at most 100.",
}}

func denied(s action.Spec, raw json.RawMessage) ([]any, error) {
	var p struct {
		DenyCIDRs []string `json:"deny_cidrs"`
	}
	if err := s.Decode(raw, &p); err != nil {
		return nil, err
	}
	return kubeobject.CIDRs("deny_cidrs", p.DenyCIDRs)
}

const ciliumPolicies = "cilium.io/v2/ciliumnetworkpolicies"

var ciliumSpec = action.Spec{
	Type:        CiliumType,
	Summary:     "Deny the pod all traffic, or that with some networks, by a CiliumNetworkPolicy for this pod alone. No other policy can allow what it denies. Whether Cilium has put it into force is not seen.",
	Kind:        action.KindPod,
	Permissions: permissions(ciliumPolicies),
	Params:      denyParam,
	Example:     `{"deny_cidrs": ["203.0.113.7"]}`,
}

// NewCilium makes the action for clusters with Cilium.
func NewCilium(client *kubeobject.Client) action.Undoer {
	return &kubeobject.PodPolicy{
		Client: client, Of: ciliumSpec, Resource: ciliumPolicies, APIVersion: "cilium.io/v2", Kind: "CiliumNetworkPolicy",
		Build: buildCilium, Notes: hostNetworkNote,
	}
}

// buildCilium denies. A rule that only denies would also switch a direction to
// denying whatever no policy allows, which enableDefaultDeny keeps it from.
func buildCilium(key, value string, raw json.RawMessage) (map[string]any, error) {
	nets, err := denied(ciliumSpec, raw)
	if err != nil {
		return nil, err
	}
	policy := map[string]any{"endpointSelector": map[string]any{"matchLabels": map[string]any{key: value}}}
	if len(nets) == 0 {
		all := []any{"all"}
		policy["ingressDeny"] = []any{map[string]any{"fromEntities": all}}
		policy["egressDeny"] = []any{map[string]any{"toEntities": all}}
		return policy, nil
	}
	policy["ingressDeny"] = []any{map[string]any{"fromCIDR": nets}}
	policy["egressDeny"] = []any{map[string]any{"toCIDR": nets}}
	policy["enableDefaultDeny"] = map[string]any{"ingress": false, "egress": false}
	return policy, nil
}

func hostNetworkNote(_ context.Context, pod *unstructured.Unstructured, _ string) ([]string, error) {
	if kubeobject.HostNetwork(pod) {
		return []string{kubeobject.InHostNetwork}, nil
	}
	return nil, nil
}
