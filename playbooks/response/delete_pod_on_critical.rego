# METADATA
# scope: package
# title: Delete the pod on a Critical alert
# description: >-
#  Deletes the very pod that a Critical or worse alert is about. Its controller
#  starts a clean one. A pod that the API server does not confirm to be on the
#  reporting node is left alone.
# custom:
#   owner: Riposte
#   trigger:
#     priority: critical
#   mode: enforce
#   severity: critical
#   attack: [T1059, T1552, T1611]
package playbooks.delete_pod_on_critical

import data.riposte.lib.alert
import data.riposte.lib.target

action contains {
	"type": "delete_pod",
	"target": target.pod,
	"reason": alert.reason,
}
