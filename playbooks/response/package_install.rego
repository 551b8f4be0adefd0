# METADATA
# scope: package
# title: Replace a pod that installs packages
# description: >-
#  Installed by hand at a terminal: people are told, for it is mostly one of them.
#  Without a terminal: the pod is evicted, within its disruption budget, and comes
#  back as its image says. The second time a person decides.
# custom:
#   owner: Riposte
#   trigger:
#     rules:
#       - Package manager started in a container
#       - Launch Package Management Process in Container
#   mode: observe
#   severity: medium
#   attack: [T1072, T1105]
package playbooks.package_install

import data.riposte.lib.alert
import data.riposte.lib.contain
import data.riposte.lib.evidence
import data.riposte.lib.history
import data.riposte.lib.target

action contains gather if some gather in evidence.of_pod(alert.detail)

action contains {
	"type": "evict_pod",
	"target": contain.replaceable,
	"reason": sprintf("the pod is no longer what its image says: %s", [alert.detail]),
} if {
	not alert.terminal
	not _again
}

action contains {
	"type": "evict_pod",
	"target": contain.replaceable,
	"requires_approval": true,
	"reason": sprintf("the workload installs packages each time it starts, evicting did not help: %s", [alert.detail]),
} if {
	not alert.terminal
	_again
}

action contains {
	"type": "notify",
	"target": _place,
	"reason": sprintf("somebody installs software by hand: %s", [alert.detail]),
} if {
	alert.terminal
}

action contains {
	"type": "notify",
	"target": _place,
	"reason": sprintf("software is installed where nothing makes a clean pod: %s", [alert.detail]),
} if {
	not alert.terminal
	not contain.replaceable
}

_place := target.pod

_place := contain.container if input.binding == "none"

_again if history.again({"evict_pod", "delete_pod"})
