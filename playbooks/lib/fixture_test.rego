package riposte.lib.fixture_test

# in_pod is an agent's alert about a confirmed pod of a Deployment.
in_pod(rule, priority) := {
	"binding": "bound",
	"alert": {
		"rule": rule,
		"priority": priority,
		"output_fields": {"proc.cmdline": "sh -c x", "fd.name": "", "user.name": null, "proc.tty": 0},
		"riposte": {"container": _container, "process": {"pid": 12, "start_ns": 34}},
	},
	"pod": {"namespace": "shop", "name": "web-0", "uid": "7d0c", "node": "n1", "owner": "ReplicaSet/web-5d4f"},
	"workload": {"resource": "apps/v1/deployments", "namespace": "shop", "name": "web", "uid": "4711"},
	"node": {"name": "n1", "uid": "815"},
	"incident": {"id": "i1", "alerts": 1, "priority": priority, "first_at": "2026-03-04T05:00:00Z"},
	"history": [],
	"now": "2026-03-04T05:06:07Z",
}

_container := {"id": "abc", "cgroup_id": 42, "start_ns": 7}

pod := {"kind": "pod", "namespace": "shop", "name": "web-0", "uid": "7d0c"}

container := {"kind": "container", "container_id": "abc", "cgroup_id": 42, "start_ns": 7}

process := {"kind": "process", "pid": 12, "start_ns": 34}

node := {"kind": "node", "name": "n1", "uid": "815"}

workload := {"kind": "workload", "resource": "apps/v1/deployments", "namespace": "shop", "name": "web", "uid": "4711"}

# without_pod is the same about a container that no pod stands behind.
without_pod(rule, priority) := object.union(json.remove(in_pod(rule, priority), ["/pod", "/workload"]), {"binding": "none"})

# on_host is the same about a process of the host.
on_host(rule, priority) := json.remove(without_pod(rule, priority), ["/alert/riposte/container"])

# from_falco is the same as Falco sends it over the intake: no agent stands behind it.
from_falco(rule, priority) := object.union(in_pod(rule, priority), {"alert": {"riposte": {"intake": "falco"}}})

# alone is the same about a pod without a controller.
alone(rule, priority) := json.remove(in_pod(rule, priority), ["/pod/owner", "/workload"])

# unconfirmed is the same about a pod that the API server does not know.
unconfirmed(rule, priority, binding) := object.union(json.remove(in_pod(rule, priority), ["/pod", "/workload"]), {"binding": binding})

# after is the input with an action that the incident had two minutes ago.
after(doc, kind, state, playbook) := object.union(doc, {"incident": {"history": [{
	"type": kind,
	"state": state,
	"playbook": playbook,
	"at": "2026-03-04T05:04:00Z",
}]}})

# beside is the input with other workloads of the node.
beside(doc, priority, abouts) := object.union(doc, {"neighbours": [neighbour |
	some about in abouts
	neighbour := {"incident": about, "about": about, "priority": priority, "last_at": "2026-03-04T05:05:00Z"}
]})

# at_terminal is the input with somebody at a terminal.
at_terminal(doc) := object.union(doc, {"alert": {"output_fields": {"proc.tty": 34816}}})

# brief are actions as "type kind", with a question mark if people are asked.
brief(actions) := {line |
	some action in actions
	line := concat("", [action.type, " ", action.target.kind, _asked(action)])
}

_asked(action) := "?" if action.requires_approval

_asked(action) := "" if not action.requires_approval

# clock is the time of the decision, for time.now_ns.
clock := time.parse_rfc3339_ns("2026-03-04T05:06:07Z")
