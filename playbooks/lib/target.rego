# METADATA
# scope: package
# title: Targets
# description: What an action can act on, read from the alert.
package riposte.lib.target

# pod is the alert's pod. It is undefined unless the API server confirms that
# this very pod runs on the node that reported the alert.
pod := {
	"kind": "pod",
	"namespace": input.pod.namespace,
	"name": input.pod.name,
	"uid": input.pod.uid,
} if {
	input.binding == "bound"
}

# container is the alert's container, whether it belongs to a pod or not. It is
# undefined for a process of the host. Its id, its cgroup and its start together
# name one life of it: a container that was restarted meanwhile is another one.
container := {
	"kind": "container",
	"container_id": input.alert.riposte.container.id,
	"cgroup_id": input.alert.riposte.container.cgroup_id,
	"start_ns": input.alert.riposte.container.start_ns,
}

# process is the process that made the call. Its id and its start together name
# one life of the id.
process := {
	"kind": "process",
	"pid": input.alert.riposte.process.pid,
	"start_ns": input.alert.riposte.process.start_ns,
}

# node is the node that reported the alert. It is undefined where Kubernetes
# does not know it.
node := {
	"kind": "node",
	"name": _node.name,
	"uid": _node.uid,
}

# workload is what the alert's pod is a replica of: its Deployment, StatefulSet,
# DaemonSet, CronJob or the like. It is undefined for a pod of its own, and unless
# the API server confirms the pod.
workload := {
	"kind": "workload",
	"resource": _workload.resource,
	"namespace": _workload.namespace,
	"name": _workload.name,
	"uid": _workload.uid,
} if {
	input.binding == "bound"
}

# The guard's rules may use this library too, and their input has neither.
_node := object.get(input, "node", {})

_workload := object.get(input, "workload", {})
