package networkpolicy

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"riposte/responder/action/kubeobject"
)

const maxNamespaces = 100

// peers are what a NetworkPolicy's rule may talk to.
func (p params) peers() ([]any, error) {
	if !p.Ingress && !p.Egress {
		return nil, errors.New("params: with ingress and egress both false nothing would be denied")
	}
	if p.AllowDNS && !p.Egress {
		return nil, errors.New("params.allow_dns: outgoing traffic is not denied at all")
	}
	nets, err := kubeobject.CIDRs("allow_cidrs", p.AllowCIDRs)
	if err != nil {
		return nil, err
	}
	var peers []any
	for _, net := range nets {
		peers = append(peers, map[string]any{"ipBlock": map[string]any{"cidr": net}})
	}
	if len(p.AllowNamespaces) > maxNamespaces {
		return nil, fmt.Errorf("params.allow_namespaces: has %d names, %d are allowed", len(p.AllowNamespaces), maxNamespaces)
	}
	for _, name := range p.AllowNamespaces {
		if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
			return nil, fmt.Errorf("params.allow_namespaces: %.80q: %s", name, strings.Join(wrong, "; "))
		}
		peers = append(peers, map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{corev1.LabelMetadataName: name}}})
	}
	return peers, nil
}
