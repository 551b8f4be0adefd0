# METADATA
# scope: package
# title: History
# description: >-
#  What was done in the incident before. An incident is about one workload, so a
#  second pod of it knows of the first; see docs/incidents.md.
package riposte.lib.history

# again holds if one of these types of actions took effect in this incident, longer
# ago than the alerts of one and the same attack take to come. Then the workload
# offends again: to do the same once more does not help, people have to look.
again(types) if {
	some past in _all
	past.type in types
	past.state == "succeeded"
	_age(past) > 60 * _second
}

# asked holds if this playbook has asked for anything in this incident within the
# last hour, whatever came of it.
asked(playbook) if {
	some past in _all
	past.playbook == playbook
	_age(past) <= 3600 * _second
}

# others are the other workloads that the API server confirms on the alert's node
# and that had an alert of one of these priorities within the last ten minutes, by
# their incidents' keys, such as owner/shop/ReplicaSet/web-5d4f.
others(priorities) := {neighbour.about |
	some neighbour in object.get(input, "neighbours", [])
	neighbour.priority in priorities
	some prefix in {"owner/", "pod/"}
	startswith(neighbour.about, prefix)
}

# severe are the priorities of which an alert is worth a person's look.
severe := {"Emergency", "Alert", "Critical", "Error", "Warning"}

# mild are the others.
mild := {"Notice", "Informational", "Debug"}

_second := 1000000000

_age(past) := time.now_ns() - time.parse_rfc3339_ns(past.at)

_all := array.concat(object.get(input, "history", []), object.get(object.get(input, "incident", {}), "history", []))
