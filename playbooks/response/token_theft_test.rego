package playbooks.token_theft_test

import data.playbooks.token_theft as playbook
import data.riposte.lib.fixture_test as fixture

_read := "Service account token read by an unexpected program"

_used := "Contact K8S API Server From Container"

_evidence := {"collect_logs pod", "snapshot_object pod", "snapshot_object workload"}

_after_the_read(doc, state) := fixture.after(doc, "notify", state, "token_theft")

test_tells_when_it_is_read if {
	fixture.brief(playbook.action) == _evidence | {"notify pod"} with input as fixture.in_pod(_read, "Warning")
}

test_the_api_alone_is_nothing if {
	playbook.action == set() with input as fixture.in_pod(_used, "Notice")
	other := fixture.after(fixture.in_pod(_used, "Notice"), "notify", "succeeded", "noise")
	playbook.action == set() with input as other with time.now_ns as fixture.clock
}

test_cuts_and_asks_when_it_is_used if {
	every state in ["observed", "waiting", "succeeded"] {
		doc := _after_the_read(fixture.in_pod(_used, "Notice"), state)
		want := _evidence | {"cut_network container", "delete_pod pod?"}
		fixture.brief(playbook.action) == want with input as doc with time.now_ns as fixture.clock
	}
}

test_isolates_a_pod_of_its_own if {
	doc := _after_the_read(fixture.alone(_used, "Notice"), "observed")
	want := {"collect_logs pod", "snapshot_object pod", "cut_network container", "isolate_pod pod"}
	fixture.brief(playbook.action) == want with input as doc with time.now_ns as fixture.clock
}

test_without_agents_people_are_still_asked if {
	doc := _after_the_read(fixture.from_falco(_used, "Notice"), "observed")
	fixture.brief(playbook.action) == _evidence | {"delete_pod pod?"} with input as doc with time.now_ns as fixture.clock
}

test_only_pods_have_tokens if {
	playbook.action == set() with input as fixture.without_pod(_read, "Warning")
	playbook.action == set() with input as fixture.unconfirmed(_read, "Warning", "forged")
}
