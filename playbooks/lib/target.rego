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
