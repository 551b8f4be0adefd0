# METADATA
# scope: package
# title: Kill a miner
# description: >-
#  Kills the mining process and leaves the rest of the container running: a miner
#  costs money, and the service goes on. If it comes back the pod is isolated, with a
#  person's consent. Of alerts below Critical, which guess by a port, people are told.
# custom:
#   owner: Riposte
#   trigger:
#     tags: [T1496]
#   mode: observe
#   severity: high
#   attack: [T1496]
package playbooks.miner

import data.riposte.lib.alert
import data.riposte.lib.contain
import data.riposte.lib.evidence
import data.riposte.lib.history
import data.riposte.lib.target

action contains gather if some gather in evidence.of_pod(alert.detail)

action contains {
	"type": "kill_process",
	"target": contain.process,
	"reason": sprintf("the process mines, the container goes on: %s", [alert.detail]),
} if {
	_certain
	not _again
}

# Without an agent there is nobody who could end a single process.
action contains {
	"type": "isolate_pod",
	"target": target.pod,
	"ttl": "24h",
	"reason": sprintf("the miner loses its pool: %s", [alert.detail]),
} if {
	_certain
	not contain.process
	not _again
}

action contains {
	"type": "isolate_pod",
	"target": target.pod,
	"ttl": "24h",
	"requires_approval": true,
	"reason": sprintf("a miner was stopped in this workload before and is back: %s", [alert.detail]),
} if {
	_certain
	_again
}

action contains {
	"type": "freeze_container",
	"target": contain.container,
	"ttl": "24h",
	"requires_approval": true,
	"reason": sprintf("a miner was killed in this container before and is back: %s", [alert.detail]),
} if {
	input.binding == "none"
	_certain
	_again
}

action contains {
	"type": "notify",
	"target": target.workload,
	"reason": sprintf("a miner comes back in %s/%s: its image or its way in has to be looked at", [
		target.workload.namespace,
		target.workload.name,
	]),
} if {
	_certain
	_again
}

action contains {
	"type": "notify",
	"target": _place,
	"reason": sprintf("perhaps a miner: %s", [alert.detail]),
} if {
	not _certain
}

_certain if input.alert.priority in {"Emergency", "Alert", "Critical"}

_place := target.pod

_place := contain.container if input.binding == "none"

_again if history.again({"kill_process", "kill_container", "isolate_pod", "delete_pod"})
