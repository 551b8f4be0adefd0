package riposte.lib_test

import data.riposte.lib.alert
import data.riposte.lib.target

_pod := {"namespace": "shop", "name": "web-0", "uid": "7d0c", "node": "n1"}

_container := {"id": "abc", "name": "web", "cgroup_id": 42, "start_ns": 7}

test_pod_when_bound if {
	want := {"kind": "pod", "namespace": "shop", "name": "web-0", "uid": "7d0c"}
	target.pod == want with input as {"binding": "bound", "pod": _pod}
}

test_no_pod_unless_bound if {
	every binding in ["none", "unbound", "forged"] {
		not target.pod with input as {"binding": binding, "pod": _pod}
	}
}

test_container if {
	want := {"kind": "container", "container_id": "abc", "cgroup_id": 42, "start_ns": 7}
	target.container == want with input as {"alert": {"riposte": {"container": _container}}}
}

test_no_container_on_the_host if {
	not target.container with input as {"alert": {"riposte": {"node": "n1"}}}
}

test_process if {
	want := {"kind": "process", "pid": 7, "start_ns": 99}
	target.process == want with input as {"alert": {"riposte": {"process": {"pid": 7, "start_ns": 99}}}}
}

test_node_only_with_its_identity if {
	want := {"kind": "node", "name": "n1", "uid": "4711"}
	target.node == want with input as {"node": {"name": "n1", "uid": "4711"}}
	not target.node with input as {"node": {"name": "n1"}}
}

_workload := {"resource": "apps/v1/deployments", "namespace": "shop", "name": "web", "uid": "4711"}

test_workload_when_bound if {
	want := object.union(_workload, {"kind": "workload"})
	target.workload == want with input as {"binding": "bound", "workload": _workload}
	not target.workload with input as {"binding": "unbound", "workload": _workload}
	not target.workload with input as {"binding": "bound"}
}

test_reason if {
	alert.reason == `Critical alert "Shell"` with input as {"alert": {"priority": "Critical", "rule": "Shell"}}
}
