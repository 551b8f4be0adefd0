package playbooks.node_under_attack_test

import data.playbooks.node_under_attack as playbook
import data.riposte.lib.fixture_test as fixture

_doc := fixture.in_pod("Read sensitive file untrusted", "Warning")

_two := ["owner/shop/ReplicaSet/cart-1", "pod/u1"]

test_asks_to_cordon_when_three_are_attacked if {
	doc := fixture.beside(_doc, "Warning", _two)
	fixture.brief(playbook.action) == {"snapshot_object node", "notify node", "cordon_node node"} with input as doc
	some action in playbook.action with input as doc
	want := "node n1: beside the alert's own pod shop/web-0 these had severe alerts within ten minutes: owner/shop/ReplicaSet/cart-1, pod/u1"
	action.reason == want
}

test_two_are_not_enough if {
	playbook.action == set() with input as _doc
	playbook.action == set() with input as fixture.beside(_doc, "Critical", ["pod/u1"])
}

test_mild_alerts_and_unconfirmed_workloads_do_not_count if {
	playbook.action == set() with input as fixture.beside(_doc, "Notice", _two)
	playbook.action == set() with input as fixture.beside(_doc, "Critical", ["node/n1/container/a", "node/n1/pod/b", "pod/u1"])
	unbound := fixture.unconfirmed("Read sensitive file untrusted", "Warning", "unbound")
	playbook.action == set() with input as fixture.beside(unbound, "Critical", _two)
}

test_a_node_that_kubernetes_does_not_know if {
	doc := json.remove(fixture.beside(_doc, "Warning", _two), ["/node/uid"])
	playbook.action == set() with input as doc
}
