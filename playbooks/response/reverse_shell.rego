# METADATA
# scope: package
# title: Cut off a pod with a reverse shell
# description: >-
#  Keeps the evidence, cuts the container's network on its node, and isolates the pod
#  for a day; its controller starts a clean one. Nothing is deleted. If the same
#  workload does it again, people decide about the pod.
# custom:
#   owner: Riposte
#   trigger:
#     rules:
#       - Reverse shell in a container
#       - Reverse shell command in a container
#       - Connection as standard input in a container
#       - Redirect STDOUT/STDIN to Network Connection in Container
#       - Netcat Remote Code Execution in Container
#   mode: observe
#   contain: cut
#   severity: critical
#   attack: [T1059.004, T1071]
package playbooks.reverse_shell

import data.riposte.lib.alert
import data.riposte.lib.contain
import data.riposte.lib.evidence
import data.riposte.lib.history
import data.riposte.lib.target

action contains gather if some gather in evidence.of_pod(alert.detail)

# A policy leaves connections that stand; the node drops their packets too.
action contains {
	"type": "cut_network",
	"target": contain.container,
	"ttl": "24h",
	"reason": sprintf("the shell loses its connection: %s", [alert.detail]),
}

action contains {
	"type": "isolate_pod",
	"target": target.pod,
	"ttl": "24h",
	"reason": sprintf("a clean pod takes over and this one stays to be looked at: %s", [alert.detail]),
} if {
	not _again
}

action contains {
	"type": "isolate_pod",
	"target": target.pod,
	"ttl": "24h",
	"requires_approval": true,
	"reason": sprintf("the workload was contained before and offends again: %s", [alert.detail]),
} if {
	_again
}

action contains {
	"type": "notify",
	"target": target.workload,
	"reason": sprintf("another pod of %s/%s has a reverse shell: look for the way in, isolating pods does not close it", [
		target.workload.namespace,
		target.workload.name,
	]),
} if {
	_again
}

_again if history.again({"isolate_pod", "cut_network", "delete_pod"})
