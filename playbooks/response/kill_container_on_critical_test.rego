package playbooks.kill_container_on_critical_test

import data.playbooks.kill_container_on_critical as playbook

_input(binding) := {
	"binding": binding,
	"alert": {
		"rule": "Read sensitive file",
		"priority": "Critical",
		"riposte": {"container": {"id": "abc", "cgroup_id": 42, "start_ns": 7}},
	},
}

test_kills_a_container_without_a_pod if {
	playbook.action == {{
		"type": "kill_container",
		"target": {"kind": "container", "container_id": "abc", "cgroup_id": 42, "start_ns": 7},
		"reason": `Critical alert "Read sensitive file"`,
	}} with input as _input("none")
}

test_leaves_the_containers_of_pods_alone if {
	every binding in ["bound", "unbound", "forged"] {
		playbook.action == set() with input as _input(binding)
	}
}

test_leaves_the_host_alone if {
	host := json.remove(_input("none"), ["/alert/riposte/container"])
	playbook.action == set() with input as host
}
