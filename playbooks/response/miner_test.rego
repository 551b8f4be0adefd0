package playbooks.miner_test

import data.playbooks.miner as playbook
import data.riposte.lib.fixture_test as fixture

_rule := "Crypto miner started in a container"

_evidence := {"collect_logs pod", "snapshot_object pod", "snapshot_object workload"}

_stopped(doc) := fixture.after(doc, "kill_process", "succeeded", "miner")

test_kills_the_process_alone if {
	doc := fixture.in_pod(_rule, "Critical")
	fixture.brief(playbook.action) == _evidence | {"kill_process process"} with input as doc
	some action in playbook.action with input as doc
	action.target == fixture.process
}

test_tells_of_a_guess if {
	rule := "Connection to a usual mining port from a container"
	fixture.brief(playbook.action) == _evidence | {"notify pod"} with input as fixture.in_pod(rule, "Warning")
	fixture.brief(playbook.action) == {"notify container"} with input as fixture.without_pod(rule, "Warning")
}

test_asks_when_it_is_back if {
	want := _evidence | {"isolate_pod pod?", "notify workload"}
	doc := _stopped(fixture.in_pod(_rule, "Critical"))
	fixture.brief(playbook.action) == want with input as doc with time.now_ns as fixture.clock
}

test_a_container_without_a_pod if {
	doc := fixture.without_pod(_rule, "Critical")
	fixture.brief(playbook.action) == {"kill_process process"} with input as doc
	fixture.brief(playbook.action) == {"freeze_container container?"} with input as _stopped(doc) with time.now_ns as fixture.clock
}

test_isolates_where_there_is_no_agent if {
	fixture.brief(playbook.action) == _evidence | {"isolate_pod pod"} with input as fixture.from_falco(_rule, "Critical")
}

test_leaves_alone_what_nobody_confirms if {
	every binding in ["unbound", "forged"] {
		playbook.action == set() with input as fixture.unconfirmed(_rule, "Critical", binding)
	}
	playbook.action == set() with input as fixture.on_host(_rule, "Critical")
}
