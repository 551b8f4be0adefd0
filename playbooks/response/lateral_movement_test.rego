package playbooks.lateral_movement_test

import data.playbooks.lateral_movement as playbook
import data.riposte.lib.fixture_test as fixture

_rule := "Launch Suspicious Network Tool in Container"

_evidence := {"collect_logs pod", "snapshot_object pod", "snapshot_object workload"}

test_takes_the_way_out_and_leaves_the_service if {
	doc := fixture.in_pod(_rule, "Notice")
	fixture.brief(playbook.action) == _evidence | {"apply_network_policy pod"} with input as doc
	some action in playbook.action with input as doc
	action.params == {"ingress": false, "egress": true, "allow_dns": true}
}

test_isolates_when_it_spreads if {
	doc := fixture.beside(fixture.in_pod(_rule, "Notice"), "Warning", ["owner/shop/ReplicaSet/cart-1"])
	fixture.brief(playbook.action) == _evidence | {"isolate_pod pod", "notify pod"} with input as doc
	some action in playbook.action with input as doc
	contains(action.reason, "node n1, to or from: owner/shop/ReplicaSet/cart-1")
}

test_noise_beside_is_no_spreading if {
	doc := fixture.beside(fixture.in_pod(_rule, "Notice"), "Notice", ["owner/shop/ReplicaSet/cart-1"])
	fixture.brief(playbook.action) == _evidence | {"apply_network_policy pod"} with input as doc
}

test_isolates_what_goes_on_without_the_network if {
	doc := fixture.after(fixture.in_pod(_rule, "Notice"), "apply_network_policy", "succeeded", "lateral_movement")
	fixture.brief(playbook.action) == _evidence | {"isolate_pod pod"} with input as doc with time.now_ns as fixture.clock
}

test_asks_about_the_workloads_next_pod if {
	doc := fixture.after(fixture.in_pod(_rule, "Notice"), "isolate_pod", "succeeded", "lateral_movement")
	fixture.brief(playbook.action) == _evidence | {"isolate_pod pod?"} with input as doc with time.now_ns as fixture.clock
}

test_cuts_off_a_container_without_a_pod if {
	fixture.brief(playbook.action) == {"cut_network container"} with input as fixture.without_pod(_rule, "Notice")
}

test_leaves_alone_what_nobody_confirms if {
	playbook.action == set() with input as fixture.unconfirmed(_rule, "Notice", "unbound")
	playbook.action == set() with input as fixture.on_host(_rule, "Notice")
}
