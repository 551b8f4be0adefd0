package playbooks.delete_pod_on_critical_test

import data.playbooks.delete_pod_on_critical as playbook

_input(binding) := {
	"binding": binding,
	"alert": {"rule": "Read sensitive file", "priority": "Critical"},
	"pod": {"namespace": "shop", "name": "web-0", "uid": "7d0c", "node": "n1"},
}

test_deletes_the_bound_pod_by_uid if {
	playbook.action == {{
		"type": "delete_pod",
		"target": {"kind": "pod", "namespace": "shop", "name": "web-0", "uid": "7d0c"},
		"reason": `Critical alert "Read sensitive file"`,
	}} with input as _input("bound")
}

test_leaves_other_pods_alone if {
	every binding in ["none", "unbound", "forged"] {
		playbook.action == set() with input as _input(binding)
	}
}

test_needs_the_uid if {
	without := json.remove(_input("bound"), ["/pod/uid"])
	playbook.action == set() with input as without
}
