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

test_reason if {
	alert.reason == `Critical alert "Shell"` with input as {"alert": {"priority": "Critical", "rule": "Shell"}}
}
