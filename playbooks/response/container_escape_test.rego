package playbooks.container_escape_test

import data.playbooks.container_escape as playbook
import data.riposte.lib.fixture_test as fixture

_rule := "Detect release_agent File Container Escapes"

_evidence := {"collect_logs pod", "snapshot_object pod", "snapshot_object workload", "snapshot_object node"}

test_freezes_and_keeps_new_pods_off if {
	want := _evidence | {"freeze_container container", "cordon_node node"}
	fixture.brief(playbook.action) == want with input as fixture.in_pod(_rule, "Critical")
}

test_isolates_where_there_is_no_agent if {
	want := _evidence | {"isolate_pod pod", "cordon_node node"}
	fixture.brief(playbook.action) == want with input as fixture.from_falco(_rule, "Critical")
}

test_a_container_without_a_pod if {
	want := {"snapshot_object node", "freeze_container container", "cordon_node node"}
	fixture.brief(playbook.action) == want with input as fixture.without_pod(_rule, "Critical")
}

test_tells_of_what_it_cannot_contain if {
	want := {"snapshot_object node", "notify node"}
	fixture.brief(playbook.action) == want with input as fixture.on_host(_rule, "Critical")
	fixture.brief(playbook.action) == want with input as fixture.unconfirmed(_rule, "Critical", "unbound")
}

test_freezes_where_kubernetes_is_not if {
	doc := json.remove(fixture.without_pod(_rule, "Critical"), ["/node/uid"])
	fixture.brief(playbook.action) == {"freeze_container container"} with input as doc
}
