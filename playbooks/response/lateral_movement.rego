# METADATA
# scope: package
# title: Stop lateral movement
# description: >-
#  Keeps a pod that looks around in the network from reaching others for an hour; it
#  goes on serving. If other workloads of its node are attacked too, or it goes on
#  all the same, it is isolated.
# custom:
#   owner: Riposte
#   trigger:
#     rules:
#       - Launch Suspicious Network Tool in Container
#       - Launch Remote File Copy Tools in Container
#       - Packet socket created in container
#       - Disallowed SSH Connection Non Standard Port
#   mode: observe
#   severity: high
#   attack: [T1021, T1046, T1570]
package playbooks.lateral_movement

import data.riposte.lib.alert
import data.riposte.lib.contain
import data.riposte.lib.evidence
import data.riposte.lib.history
import data.riposte.lib.target

action contains gather if some gather in evidence.of_pod(alert.detail)

action contains {
	"type": "apply_network_policy",
	"target": target.pod,
	"params": {"ingress": false, "egress": true, "allow_dns": true},
	"ttl": "1h",
	"reason": sprintf("the pod looks around in the network and may reach nobody meanwhile: %s", [alert.detail]),
} if {
	not _spreads
}

action contains {
	"type": "isolate_pod",
	"target": target.pod,
	"ttl": "24h",
	"reason": sprintf("other workloads of the node are attacked too, or it went on without the network: %s", [alert.detail]),
} if {
	_spreads
	not _isolated
}

action contains {
	"type": "isolate_pod",
	"target": target.pod,
	"ttl": "24h",
	"requires_approval": true,
	"reason": sprintf("a pod of this workload was isolated before and the next one looks around: %s", [alert.detail]),
} if {
	_isolated
}

action contains {
	"type": "notify",
	"target": target.pod,
	"reason": sprintf("an attack seems to move on node %s, to or from: %s", [input.node.name, concat(", ", sort(_others))]),
} if {
	count(_others) > 0
}

# A container that no pod stands behind has no policies; its node can cut it off.
action contains {
	"type": "cut_network",
	"target": contain.container,
	"ttl": "1h",
	"reason": sprintf("the container looks around in the network: %s", [alert.detail]),
} if {
	input.binding == "none"
}

_others := history.others(history.severe)

_spreads if count(_others) > 0

_spreads if history.again({"apply_network_policy"})

_spreads if _isolated

_isolated if history.again({"isolate_pod"})
