package main

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// peer is the other side of a rule.
type peer struct {
	match string // of its address; empty is anybody
	pods  []*corev1.Pod
}

// peers resolves selectors and blocks of addresses. An empty list is everybody; a
// list of which nothing is left is nobody.
func (w world) peers(field, namespace string, list []netv1.NetworkPolicyPeer) (all []peer) {
	if len(list) == 0 {
		return []peer{{pods: w.pods}}
	}
	for _, one := range list {
		if block := one.IPBlock; block != nil {
			if strings.Contains(block.CIDR, ":") {
				continue
			}
			match := fmt.Sprintf("ip %s %s", field, block.CIDR)
			if len(block.Except) > 0 {
				match += fmt.Sprintf(" ip %s != { %s }", field, strings.Join(block.Except, ", "))
			}
			all = append(all, peer{match: match})
			continue
		}
		var found peer
		var addresses []string
		for _, pod := range w.pods {
			inNamespace := pod.Namespace == namespace
			if one.NamespaceSelector != nil {
				inNamespace = selects(one.NamespaceSelector, w.namespaces[pod.Namespace])
			}
			if inNamespace && (one.PodSelector == nil || selects(one.PodSelector, pod.Labels)) {
				found.pods = append(found.pods, pod)
				addresses = append(addresses, pod.Status.PodIP)
			}
		}
		if len(addresses) > 0 {
			found.match = fmt.Sprintf("ip %s { %s }", field, strings.Join(addresses, ", "))
			all = append(all, found)
		}
	}
	return all
}

// cross is every peer with every port. Ports have names on the side that is
// called: the pod itself, or for egress, where self is nil, each peer.
func cross(peers []peer, ports []netv1.NetworkPolicyPort, self *corev1.Pod) (rules []string) {
	for _, p := range peers {
		if len(ports) == 0 {
			rules = append(rules, p.match)
		}
		called := p.pods
		if self != nil {
			called = []*corev1.Pod{self}
		}
		for _, port := range ports {
			for _, match := range portMatches(port, called) {
				rules = append(rules, strings.TrimSpace(p.match+" "+match))
			}
		}
	}
	return rules
}

func portMatches(port netv1.NetworkPolicyPort, called []*corev1.Pod) []string {
	protocol := corev1.ProtocolTCP
	if port.Protocol != nil {
		protocol = *port.Protocol
	}
	name := strings.ToLower(string(protocol))
	switch {
	case port.Port == nil:
		return []string{"meta l4proto " + name}
	case port.Port.Type == intstr.Int && port.EndPort != nil:
		return []string{fmt.Sprintf("%s dport %d-%d", name, port.Port.IntVal, *port.EndPort)}
	case port.Port.Type == intstr.Int:
		return []string{fmt.Sprintf("%s dport %d", name, port.Port.IntVal)}
	}
	var matches []string
	for _, pod := range called {
		for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			for _, p := range container.Ports {
				// The API server fills in the protocol of a container's port.
				if p.Name == port.Port.StrVal && p.Protocol == protocol {
					matches = append(matches, fmt.Sprintf("ip daddr %s %s dport %d", pod.Status.PodIP, name, p.ContainerPort))
				}
			}
		}
	}
	return matches
}
