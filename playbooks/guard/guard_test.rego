package riposte.guard_test

import data.riposte.guard

_pod(owner) := {"namespace": "shop", "name": "web-0", "uid": "7d0c", "node": "n1", "owner": owner}

test_static_pod_is_refused if {
	some refusal in guard.refuse with input as {"target": {"kind": "pod"}, "pod": _pod("Node/n1")}
	refusal.rule == "mirror-pod"
}

test_other_pods_are_not if {
	every owner in ["ReplicaSet/web-5d4f", "StatefulSet/web", "NodeSet/x", ""] {
		count(guard.refuse) == 0 with input as {"target": {"kind": "pod"}, "pod": _pod(owner)}
	}
}

test_container_of_a_static_pod_may_be_killed if {
	count(guard.refuse) == 0 with input as {"target": {"kind": "container"}, "pod": _pod("Node/n1")}
}
