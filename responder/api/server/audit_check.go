package server

import (
	"strconv"
	"strings"

	"riposte/responder/action"
)

// checks are commands that show how a target is now, for a shell: every word that is
// not ours is quoted.
func checks(t action.Target, kind string) []string {
	uid := " -o jsonpath='{.metadata.uid}{\"\\n\"}'"
	in := " -n " + quote(t.Namespace) + " "
	switch t.Kind {
	case action.KindPod:
		all := []string{
			"kubectl get pod" + in + quote(t.Name) + uid,
			"kubectl get events" + in + "--field-selector " + quote("involvedObject.uid="+t.UID),
		}
		if strings.HasSuffix(kind, "network_policy") || kind == "isolate_pod" {
			all = append(all, "kubectl get networkpolicies"+in+"-o yaml")
		}
		return all
	case action.KindNode:
		return []string{"kubectl get node " + quote(t.Name) + " -o wide", "kubectl get pods -A -o wide --field-selector " + quote("spec.nodeName="+t.Name)}
	case action.KindWorkload, action.KindObject:
		return []string{"kubectl get " + quote(resourceArgument(t.Resource)) + in + quote(t.Name) + " -o yaml --show-managed-fields"}
	case action.KindContainer:
		return []string{"kubectl get pods -A -o wide --field-selector " + quote("spec.nodeName="+t.Node), "crictl inspect " + quote(t.ContainerID) + " # on node " + quote(t.Node)}
	case action.KindProcess:
		return []string{"ps -p " + quote(pid(t)) + " -o pid,lstart,args # on node " + quote(t.Node)}
	}
	return []string{}
}

// resourceArgument turns group/version/resource into kubectl's resource.version.group.
func resourceArgument(resource string) string {
	part := strings.Split(resource, "/")
	switch len(part) {
	case 3:
		return part[2] + "." + part[1] + "." + part[0]
	case 2:
		return part[1]
	}
	return resource
}

func pid(t action.Target) string { return strconv.Itoa(int(t.PID)) }

// quote makes one word for a POSIX shell; a name of the usual characters is one.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._/=:-", r)) //nolint:staticcheck // what is allowed reads better
	}) && s[0] != '-' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
