# METADATA
# scope: package
# title: Keep new pods off a node that is attacked
# description: >-
#  Three workloads of one node with alerts of Warning or worse within ten minutes are
#  hardly three accidents: the node itself may be the way in. Two people are asked to
#  cordon it for four hours. What runs there stays.
# custom:
#   owner: Riposte
#   trigger:
#     tags: [container]
#     priority: warning
#   mode: approve
#   severity: high
#   attack: [T1610, T1611]
package playbooks.node_under_attack

import data.riposte.lib.evidence
import data.riposte.lib.history
import data.riposte.lib.target

action contains gather if {
	_attacked
	some gather in evidence.of_node(_reason)
}

action contains {
	"type": "notify",
	"target": target.node,
	"reason": _reason,
} if {
	_attacked
}

action contains {
	"type": "cordon_node",
	"target": target.node,
	"ttl": "4h",
	"reason": _reason,
} if {
	_attacked
}

# The alert's own workload is one of them. Only workloads that the API server
# confirms count: else one process could stand for many.
_attacked if {
	input.binding == "bound"
	count(_others) + 1 >= _workloads
}

_workloads := 3

_others := history.others(history.severe)

_reason := sprintf("node %s: beside the alert's own pod %s/%s these had severe alerts within ten minutes: %s", [
	input.node.name,
	input.pod.namespace,
	input.pod.name,
	concat(", ", sort(_others)),
])
