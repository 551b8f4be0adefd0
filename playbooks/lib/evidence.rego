# METADATA
# scope: package
# title: Evidence
# description: >-
#  Actions that gather evidence and disturb nobody. In one decision with an action
#  that destroys they come first; the executor sees to that.
package riposte.lib.evidence

import data.riposte.lib.target

# of_pod is the alert's pod as it is now, its logs, and the workload that it is a
# replica of. It is empty unless the API server confirms the pod. Gathered is once
# for each incident, playbook and target, however often it is proposed.
of_pod(reason) := (logs | pods) | workloads if {
	logs := {action | action := {"type": "collect_logs", "target": target.pod, "reason": reason}}
	pods := {action | action := {"type": "snapshot_object", "target": target.pod, "reason": reason}}
	workloads := {action | action := {"type": "snapshot_object", "target": target.workload, "reason": reason}}
}

# of_node is the alert's node as it is now; empty where Kubernetes does not know it.
of_node(reason) := {action | action := {"type": "snapshot_object", "target": target.node, "reason": reason}}
