package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// head makes sure that there is a table to delete.
const head = "table inet netpold {}\n"

// world is what policies speak about.
type world struct {
	pods       []*corev1.Pod
	namespaces map[string]labels.Set
	policies   []*netv1.NetworkPolicy
}

func newWorld() world { return world{namespaces: map[string]labels.Set{}} }

// table is the nftables script for the pods of one node. Nothing of it is text that
// a user of the cluster chose freely: addresses, numbers and UIDs are the API
// server's, names have been validated by it.
func (w world) table(node string) string {
	w.pods = slices.DeleteFunc(slices.Clone(w.pods), func(p *corev1.Pod) bool { return !hasAddress(p) })
	slices.SortFunc(w.pods, func(a, b *corev1.Pod) int { return byName(a, b) })
	w.policies = slices.Clone(w.policies)
	slices.SortFunc(w.policies, func(a, b *netv1.NetworkPolicy) int { return byName(a, b) })

	var chains strings.Builder
	jumps := map[netv1.PolicyType][]string{}
	for _, pod := range w.pods {
		if pod.Spec.NodeName != node {
			continue
		}
		for _, way := range []netv1.PolicyType{netv1.PolicyTypeIngress, netv1.PolicyTypeEgress} {
			rules, selected := w.rules(pod, way)
			if !selected {
				continue
			}
			chain := strings.ToLower(string(way)) + "_" + strings.ReplaceAll(string(pod.UID), "-", "")
			fmt.Fprintf(&chains, "\tchain %s { # %s/%s\n", chain, pod.Namespace, pod.Name)
			for _, rule := range rules {
				fmt.Fprintf(&chains, "\t\t%s\n", strings.TrimSpace(rule+" return"))
			}
			chains.WriteString("\t\tcounter drop\n\t}\n")
			jumps[way] = append(jumps[way], pod.Status.PodIP+" : jump "+chain)
		}
	}

	var judge strings.Builder
	// The side that opened a connection is judged with every packet; the other side
	// may answer what is let through.
	judge.WriteString("\tchain judge {\n\t\tct direction reply ct state established,related accept\n")
	if all := jumps[netv1.PolicyTypeEgress]; all != nil {
		fmt.Fprintf(&judge, "\t\tip saddr vmap { %s }\n", strings.Join(all, ", "))
	}
	if all := jumps[netv1.PolicyTypeIngress]; all != nil {
		fmt.Fprintf(&judge, "\t\tip daddr vmap { %s }\n", strings.Join(all, ", "))
	}
	judge.WriteString("\t}\n")
	for _, hook := range []string{"forward", "input"} {
		fmt.Fprintf(&judge, "\tchain %[1]s {\n\t\ttype filter hook %[1]s priority filter - 5; policy accept;\n\t\tjump judge\n\t}\n", hook)
	}
	return head + "delete table inet netpold\ntable inet netpold {\n" + chains.String() + judge.String() + "}\n"
}

// rules are the matches of all that the policies let a pod take or send; none,
// with selected, means nothing at all.
func (w world) rules(pod *corev1.Pod, way netv1.PolicyType) (rules []string, selected bool) {
	for _, policy := range w.policies {
		if policy.Namespace != pod.Namespace || !slices.Contains(policy.Spec.PolicyTypes, way) || !selects(&policy.Spec.PodSelector, pod.Labels) {
			continue
		}
		selected = true
		if way == netv1.PolicyTypeIngress {
			for _, r := range policy.Spec.Ingress {
				rules = append(rules, cross(w.peers("saddr", policy.Namespace, r.From), r.Ports, pod)...)
			}
			continue
		}
		for _, r := range policy.Spec.Egress {
			rules = append(rules, cross(w.peers("daddr", policy.Namespace, r.To), r.Ports, nil)...)
		}
	}
	if !selected {
		return nil, false
	}
	// A pod always reaches itself, by way of a Service too.
	field := "saddr"
	if way == netv1.PolicyTypeEgress {
		field = "daddr"
	}
	rules = append(rules, "ip "+field+" "+pod.Status.PodIP)
	slices.Sort(rules)
	return slices.Compact(rules), true
}

// hasAddress says whether a pod has an address of its own.
func hasAddress(p *corev1.Pod) bool {
	return p.Status.PodIP != "" && !strings.Contains(p.Status.PodIP, ":") && !p.Spec.HostNetwork &&
		p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// selects is false for a selector that does not parse: the API server takes none.
func selects(selector *metav1.LabelSelector, set labels.Set) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(set)
}

func byName(a, b metav1.Object) int {
	return cmp.Or(strings.Compare(a.GetNamespace(), b.GetNamespace()), strings.Compare(a.GetName(), b.GetName()))
}
