# METADATA
# scope: package
# title: Kill the container on a Critical alert
# description: >-
#  Kills every process of the very container that a Critical or worse alert is
#  about, through the node's agent. For containers that no Kubernetes pod stands
#  behind; a pod's container is delete_pod_on_critical's.
# custom:
#   owner: Riposte
#   trigger:
#     priority: critical
#   mode: enforce
#   severity: critical
#   attack: [T1059, T1552, T1611]
package playbooks.kill_container_on_critical

import data.riposte.lib.alert
import data.riposte.lib.target

action contains {
	"type": "kill_container",
	"target": target.container,
	"reason": alert.reason,
} if {
	input.binding == "none"
}
