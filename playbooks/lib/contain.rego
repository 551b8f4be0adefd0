# METADATA
# scope: package
# title: Containment
# description: >-
#  The targets of what disturbs, each only where it can be reached and where somebody
#  vouches for it, so that a playbook proposes nothing that is sure to be refused.
package riposte.lib.contain

import data.riposte.lib.target

# container is the alert's container for what its node's agent does. It is
# undefined for alerts of Falco, whose container nobody vouches for, and for a
# container of a pod that the API server does not confirm.
container := target.container if {
	_agent
	input.binding in {"none", "bound"}
}

# process is the process that made the call, on the same terms. It is undefined for
# a process of the host: what runs there is nothing that an agent ends.
process := target.process if container

# replaceable is the alert's pod if a controller makes a new one in its place.
replaceable := target.pod if controlled

# controlled holds for a pod with a controller that makes new ones. A pod of its own
# is gone for good once it is deleted, one of a Job begins its work anew, and a static
# pod's object is a mirror.
controlled if {
	input.binding == "bound"
	some kind in {"ReplicaSet/", "StatefulSet/", "DaemonSet/", "ReplicationController/"}
	startswith(object.get(input.pod, "owner", ""), kind)
}

_agent if {
	input.alert.riposte
	not input.alert.riposte.intake
}
