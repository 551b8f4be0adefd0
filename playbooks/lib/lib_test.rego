package riposte.lib_test

import data.riposte.lib.alert
import data.riposte.lib.contain
import data.riposte.lib.evidence
import data.riposte.lib.fixture_test as fixture
import data.riposte.lib.history
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

test_process if {
	want := {"kind": "process", "pid": 7, "start_ns": 99}
	target.process == want with input as {"alert": {"riposte": {"process": {"pid": 7, "start_ns": 99}}}}
}

test_node_only_with_its_identity if {
	want := {"kind": "node", "name": "n1", "uid": "4711"}
	target.node == want with input as {"node": {"name": "n1", "uid": "4711"}}
	not target.node with input as {"node": {"name": "n1"}}
}

_workload := {"resource": "apps/v1/deployments", "namespace": "shop", "name": "web", "uid": "4711"}

test_workload_when_bound if {
	want := object.union(_workload, {"kind": "workload"})
	target.workload == want with input as {"binding": "bound", "workload": _workload}
	not target.workload with input as {"binding": "unbound", "workload": _workload}
	not target.workload with input as {"binding": "bound"}
}

test_namespace_when_bound if {
	want := {"kind": "object", "resource": "v1/namespaces", "namespace": "shop", "name": "shop", "uid": "4711"}
	target.namespace == want with input as {"binding": "bound", "namespace": {"name": "shop", "uid": "4711"}}
	not target.namespace with input as {"binding": "bound", "namespace": {"name": "shop"}}
	not target.namespace with input as {"binding": "unbound", "namespace": {"name": "shop", "uid": "4711"}}
}

test_reason if {
	alert.reason == `Critical alert "Shell"` with input as {"alert": {"priority": "Critical", "rule": "Shell"}}
}

_doc := fixture.in_pod("Shell", "Critical")

test_detail_quotes_what_an_attacker_writes if {
	fields := {"proc.cmdline": "sh \n-c \u202e", "fd.name": "/etc/shadow", "user.name": null, "proc.name": 7}
	want := `Critical alert "Shell", command "sh \n-c \u202e", fd "/etc/shadow"`
	alert.detail == want with input as {"alert": {"priority": "Critical", "rule": "Shell", "output_fields": fields}}
}

test_detail_without_fields if {
	alert.detail == `Critical alert "Shell"` with input as {"alert": {"priority": "Critical", "rule": "Shell"}}
}

test_text_is_cut if {
	long := concat("", [x | some i in numbers.range(1, 50); x := sprintf("%06d", [i])])
	count(alert.text("proc.cmdline")) == 122 with input as {"alert": {"output_fields": {"proc.cmdline": long}}}
	not alert.text("proc.name") with input as {"alert": {"output_fields": {"proc.cmdline": long}}}
}

test_terminal if {
	alert.terminal with input as fixture.at_terminal(_doc)
	not alert.terminal with input as _doc
	not alert.terminal with input as {"alert": {"output_fields": {"proc.tty": null}}}
}

test_contains_what_an_agent_vouches_for if {
	contain.container == fixture.container with input as _doc
	contain.process == fixture.process with input as _doc
	contain.container == fixture.container with input as fixture.without_pod("Shell", "Critical")
}

test_contains_nothing_that_would_be_refused if {
	every doc in [
		fixture.on_host("Shell", "Critical"),
		fixture.from_falco("Shell", "Critical"),
		fixture.unconfirmed("Shell", "Critical", "unbound"),
		fixture.unconfirmed("Shell", "Critical", "forged"),
		{"binding": "none", "alert": {"rule": "Shell"}},
	] {
		not contain.container with input as doc
		not contain.process with input as doc
	}
}

test_replaceable_by_its_controller if {
	contain.replaceable == fixture.pod with input as _doc
	not contain.replaceable with input as fixture.alone("Shell", "Critical")
	not contain.replaceable with input as fixture.unconfirmed("Shell", "Critical", "unbound")
	every owner in ["Job/x", "Node/n1", ""] {
		not contain.controlled with input as object.union(_doc, {"pod": {"owner": owner}})
	}
}

test_evidence_of_a_pod if {
	want := {"collect_logs pod", "snapshot_object pod", "snapshot_object workload"}
	fixture.brief(evidence.of_pod("r")) == want with input as _doc
	fixture.brief(evidence.of_pod("r")) == {"collect_logs pod", "snapshot_object pod"} with input as fixture.alone("Shell", "Critical")
	evidence.of_pod("r") == set() with input as fixture.without_pod("Shell", "Critical")
}

test_evidence_of_a_node if {
	fixture.brief(evidence.of_node("r")) == {"snapshot_object node"} with input as _doc
	evidence.of_node("r") == set() with input as object.union(json.remove(_doc, ["/node"]), {"node": {"name": "n1"}})
}

test_again_once_it_took_effect if {
	doc := fixture.after(_doc, "delete_pod", "succeeded", "p")
	history.again({"delete_pod"}) with input as doc with time.now_ns as fixture.clock
	not history.again({"isolate_pod"}) with input as doc with time.now_ns as fixture.clock
	not history.again({"delete_pod"}) with input as _doc with time.now_ns as fixture.clock
	every state in ["observed", "failed", "waiting"] {
		not history.again({"delete_pod"}) with input as fixture.after(_doc, "delete_pod", state, "p") with time.now_ns as fixture.clock
	}
}

test_not_again_within_one_attack if {
	soon := time.parse_rfc3339_ns("2026-03-04T05:05:00Z")
	not history.again({"delete_pod"}) with input as fixture.after(_doc, "delete_pod", "succeeded", "p") with time.now_ns as soon
}

test_the_targets_own_history_counts_too if {
	past := {"type": "delete_pod", "state": "succeeded", "playbook": "p", "at": "2026-03-04T05:04:00Z"}
	history.again({"delete_pod"}) with input as {"history": [past]} with time.now_ns as fixture.clock
}

test_asked_within_the_hour if {
	doc := fixture.after(_doc, "notify", "observed", "p")
	history.asked("p") with input as doc with time.now_ns as fixture.clock
	not history.asked("q") with input as doc with time.now_ns as fixture.clock
	later := time.parse_rfc3339_ns("2026-03-04T06:05:00Z")
	not history.asked("p") with input as doc with time.now_ns as later
}

test_others_are_confirmed_and_severe if {
	abouts := ["owner/shop/ReplicaSet/a", "pod/u1", "node/n1/container/c", "forged/n1"]
	want := {"owner/shop/ReplicaSet/a", "pod/u1"}
	history.others(history.severe) == want with input as fixture.beside(_doc, "Warning", abouts)
	history.others(history.severe) == set() with input as fixture.beside(_doc, "Notice", abouts)
	history.others(history.mild) == want with input as fixture.beside(_doc, "Notice", abouts)
	history.others(history.severe) == set() with input as _doc
}
