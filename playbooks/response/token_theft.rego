# METADATA
# scope: package
# title: End a stolen service account token
# description: >-
#  When a token is read by hand: evidence and a notice. When the same workload then
#  talks to the Kubernetes API: its network is cut, and people are asked to delete the
#  pod, for a pod's token is good only as long as the pod is there.
# custom:
#   owner: Riposte
#   trigger:
#     rules:
#       - Service account token read by an unexpected program
#       - Contact K8S API Server From Container
#   mode: observe
#   severity: high
#   attack: [T1528, T1552.007]
package playbooks.token_theft

import data.riposte.lib.alert
import data.riposte.lib.contain
import data.riposte.lib.evidence
import data.riposte.lib.history
import data.riposte.lib.target

action contains gather if {
	_stolen
	some gather in evidence.of_pod(alert.detail)
}

action contains {
	"type": "notify",
	"target": target.pod,
	"reason": sprintf("somebody reads the pod's token for the Kubernetes API: %s", [alert.detail]),
} if {
	_read
}

action contains {
	"type": "cut_network",
	"target": contain.container,
	"ttl": "4h",
	"reason": sprintf("the token was read by hand and is used now: %s", [alert.detail]),
} if {
	_used
}

action contains {
	"type": "delete_pod",
	"target": contain.replaceable,
	"requires_approval": true,
	"reason": sprintf("a stolen token is valid until its pod is deleted: %s", [alert.detail]),
} if {
	_used
}

# Nothing makes a new one of this pod, and its token stays valid: people are told.
action contains {
	"type": "isolate_pod",
	"target": target.pod,
	"ttl": "24h",
	"reason": sprintf("the token was read by hand and is used now; it stays valid until the pod is deleted: %s", [alert.detail]),
} if {
	_used
	not contain.replaceable
}

_stolen if _read

_stolen if _used

_read if input.alert.rule == "Service account token read by an unexpected program"

# Many programs talk to the API by right. After the token was read by hand it counts.
_used if {
	input.alert.rule == "Contact K8S API Server From Container"
	history.asked("token_theft")
}
