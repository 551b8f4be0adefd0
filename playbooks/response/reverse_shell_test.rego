package playbooks.reverse_shell_test

import data.playbooks.reverse_shell as playbook
import data.riposte.lib.fixture_test as fixture

_rule := "Reverse shell in a container"

_evidence := {"collect_logs pod", "snapshot_object pod", "snapshot_object workload"}

test_cuts_and_isolates_after_gathering if {
	want := _evidence | {"cut_network container", "isolate_pod pod"}
	fixture.brief(playbook.action) == want with input as fixture.in_pod(_rule, "Critical")
}

test_what_can_be_undone_ends_by_itself if {
	actions := playbook.action with input as fixture.in_pod(_rule, "Critical")
	lasting := {action.type | some action in actions; not action.ttl}
	lasting == {"collect_logs", "snapshot_object"}
}

test_asks_when_the_workload_offends_again if {
	want := _evidence | {"cut_network container", "isolate_pod pod?", "notify workload"}
	doc := fixture.after(fixture.in_pod(_rule, "Critical"), "isolate_pod", "succeeded", "reverse_shell")
	fixture.brief(playbook.action) == want with input as doc with time.now_ns as fixture.clock
}

test_isolates_a_pod_of_its_own_too if {
	want := {"collect_logs pod", "snapshot_object pod", "cut_network container", "isolate_pod pod"}
	fixture.brief(playbook.action) == want with input as fixture.alone(_rule, "Critical")
}

test_without_agents_the_api_server_is_enough if {
	fixture.brief(playbook.action) == _evidence | {"isolate_pod pod"} with input as fixture.from_falco(_rule, "Critical")
}

test_cuts_off_a_container_without_a_pod if {
	fixture.brief(playbook.action) == {"cut_network container"} with input as fixture.without_pod(_rule, "Critical")
}

test_leaves_alone_what_nobody_confirms if {
	every binding in ["unbound", "forged"] {
		playbook.action == set() with input as fixture.unconfirmed(_rule, "Critical", binding)
	}
	playbook.action == set() with input as fixture.on_host(_rule, "Critical")
}
