# METADATA
# scope: package
# title: Stop a container's escape
# description: >-
#  Freezes the container where it is and asks two people to keep new pods off the
#  node. Nothing is deleted: frozen, the container is the evidence, and what may have
#  got out is on the node.
# custom:
#   owner: Riposte
#   trigger:
#     tags: [T1611]
#     priority: error
#   mode: approve
#   contain: freeze
#   severity: critical
#   attack: [T1611]
package playbooks.container_escape

import data.riposte.lib.alert
import data.riposte.lib.contain
import data.riposte.lib.evidence
import data.riposte.lib.target

action contains gather if some gather in evidence.of_pod(alert.detail)

action contains gather if some gather in evidence.of_node(alert.detail)

action contains {
	"type": "freeze_container",
	"target": contain.container,
	"ttl": "4h",
	"reason": sprintf("the container reaches for its host and is stopped where it is: %s", [alert.detail]),
}

# Without an agent nobody can freeze it.
action contains {
	"type": "isolate_pod",
	"target": target.pod,
	"ttl": "24h",
	"reason": sprintf("the container reaches for its host and loses the network: %s", [alert.detail]),
} if {
	not contain.container
}

action contains {
	"type": "cordon_node",
	"target": target.node,
	"ttl": "4h",
	"reason": sprintf("the node may be the attacker's, so nothing new should come onto it: %s", [alert.detail]),
} if {
	_contained
}

# A process of the host, or a pod that nobody confirms: people have to look.
action contains {
	"type": "notify",
	"target": target.node,
	"reason": sprintf("an attempt to leave a container, by a process that cannot be contained here: %s", [alert.detail]),
} if {
	not _contained
}

_contained if contain.container

_contained if target.pod
