package networkpolicy

import (
	"encoding/json"
	"fmt"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// calicoPolicies is the API that Calico's own API server serves; it checks what
// the custom resources behind it would take unchecked.
const calicoPolicies = "projectcalico.org/v3/networkpolicies"

var calicoSpec = action.Spec{
	Type:        CalicoType,
	Summary:     "Deny the pod all traffic, or that with some networks, by a Calico NetworkPolicy of order 0 for this pod alone. It is asked before policies of a higher order; what it does not deny is theirs to decide, and where there are none Calico denies it. Needs Calico's API server. Whether Calico has put it into force is not seen.",
	Kind:        action.KindPod,
	Permissions: permissions(calicoPolicies),
	Params:      denyParam,
	Example:     `{"deny_cidrs": ["203.0.113.7"]}`,
}

// NewCalico makes the action for clusters with Calico.
func NewCalico(client *kubeobject.Client) action.Undoer {
	return &kubeobject.PodPolicy{
		Client: client, Of: calicoSpec, Resource: calicoPolicies, APIVersion: "projectcalico.org/v3", Kind: "NetworkPolicy",
		Build: buildCalico, Notes: hostNetworkNote,
	}
}

// buildCalico writes the selector in Calico's own language. A trailing rule that
// allows would open what the cluster's other policies deny, so there is none.
func buildCalico(key, value string, raw json.RawMessage) (map[string]any, error) {
	nets, err := denied(calicoSpec, raw)
	if err != nil {
		return nil, err
	}
	from, to := map[string]any{"action": "Deny"}, map[string]any{"action": "Deny"}
	if len(nets) > 0 {
		from["source"] = map[string]any{"nets": nets}
		to["destination"] = map[string]any{"nets": nets}
	}
	return map[string]any{
		"tier": "default", "order": int64(0), "selector": fmt.Sprintf("%s == '%s'", key, value), "types": []any{"Ingress", "Egress"},
		"ingress": []any{from}, "egress": []any{to},
	}, nil
}
