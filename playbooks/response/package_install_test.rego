package playbooks.package_install_test

import data.playbooks.package_install as playbook
import data.riposte.lib.fixture_test as fixture

_rule := "Launch Package Management Process in Container"

_evidence := {"collect_logs pod", "snapshot_object pod", "snapshot_object workload"}

test_evicts_what_installs_by_itself if {
	fixture.brief(playbook.action) == _evidence | {"evict_pod pod"} with input as fixture.in_pod(_rule, "Error")
}

test_tells_of_somebody_at_a_terminal if {
	fixture.brief(playbook.action) == _evidence | {"notify pod"} with input as fixture.at_terminal(fixture.in_pod(_rule, "Error"))
	fixture.brief(playbook.action) == {"notify container"} with input as fixture.at_terminal(fixture.without_pod(_rule, "Error"))
}

test_asks_the_second_time if {
	doc := fixture.after(fixture.in_pod(_rule, "Error"), "evict_pod", "succeeded", "package_install")
	fixture.brief(playbook.action) == _evidence | {"evict_pod pod?"} with input as doc with time.now_ns as fixture.clock
}

test_leaves_a_pod_that_nothing_makes_anew if {
	want := {"collect_logs pod", "snapshot_object pod", "notify pod"}
	fixture.brief(playbook.action) == want with input as fixture.alone(_rule, "Error")
	fixture.brief(playbook.action) == {"notify container"} with input as fixture.without_pod(_rule, "Error")
}

test_needs_no_agent if {
	fixture.brief(playbook.action) == _evidence | {"evict_pod pod"} with input as fixture.from_falco(_rule, "Error")
}

test_leaves_alone_what_nobody_confirms if {
	playbook.action == set() with input as fixture.unconfirmed(_rule, "Error", "unbound")
	playbook.action == set() with input as fixture.on_host(_rule, "Error")
}
