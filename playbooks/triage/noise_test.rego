package playbooks.noise_test

import data.playbooks.noise as playbook
import data.riposte.lib.fixture_test as fixture

_rule := "Terminal shell in container"

_many(doc) := object.union(doc, {"incident": {"alerts": 20}})

test_acknowledges_what_repeats if {
	doc := _many(fixture.in_pod(_rule, "Notice"))
	playbook.action == {{
		"type": "acknowledge_incident",
		"target": fixture.pod,
		"ttl": "24h",
		"reason": `20 alerts or more since 2026-03-04T05:00:00Z, none above Notice, the latest "Terminal shell in container"`,
	}} with input as doc
}

test_waits_for_enough if {
	playbook.action == set() with input as object.union(fixture.in_pod(_rule, "Notice"), {"incident": {"alerts": 19}})
}

test_never_an_incident_with_something_severe if {
	doc := object.union(_many(fixture.in_pod(_rule, "Notice")), {"incident": {"priority": "Warning"}})
	playbook.action == set() with input as doc
}

test_needs_no_pod if {
	fixture.brief(playbook.action) == {"acknowledge_incident container"} with input as _many(fixture.without_pod(_rule, "Notice"))
	fixture.brief(playbook.action) == {"acknowledge_incident node"} with input as _many(fixture.on_host(_rule, "Notice"))
}
