# METADATA
# scope: package
# title: Acknowledge noise
# description: >-
#  An incident that gathers one mild alert after the other, and nothing severe, is
#  acknowledged for a day: it goes on counting, and its timeline says that nobody has
#  to look now. Nothing else is done.
# custom:
#   owner: Riposte
#   trigger:
#     rules:
#       - BPF Program Not Profiled
#       - Change thread namespace
#       - Contact K8S API Server From Container
#       - Contact cloud metadata service from container
#       - DB program spawned process
#       - Launch Excessively Capable Container
#       - Launch Privileged Container
#       - Outbound connection by an unexpected program in a container
#       - Run shell untrusted
#       - System procs network activity
#       - System user interactive
#       - Terminal shell in a container
#       - Terminal shell in container
#       - Unexpected UDP Traffic
#   mode: observe
#   severity: low
package playbooks.noise

import data.riposte.lib.contain
import data.riposte.lib.history
import data.riposte.lib.target

# The reason names no count that grows: equal answers stay one decision.
action contains {
	"type": "acknowledge_incident",
	"target": _target,
	"ttl": "24h",
	"reason": sprintf("%d alerts or more since %s, none above Notice, the latest %q", [_enough, input.incident.first_at, input.alert.rule]),
} if {
	input.incident.alerts >= _enough
	input.incident.priority in history.mild
}

_enough := 20

# Any target of the alert will do, for the incident is the alert's own.
_target := target.pod if {
	input.binding == "bound"
} else := contain.container if {
	input.binding == "none"
} else := target.node
