package guard

// Rules of the guard. The names are stable: they stand in rows, logs and metrics,
// and docs/guard.md has each with its meaning. First those that Judge asks, in
// their order.
const (
	// RuleNoAlert: the question names no alert.
	RuleNoAlert = "no-alert"
	// RuleRecorded: the alert is from a replayed recording.
	RuleRecorded = "recorded-stream"
	// RuleForged: the alert names a pod that runs elsewhere.
	RuleForged = "forged-binding"
	// RuleUnbound: a Kubernetes action without a confirmed pod.
	RuleUnbound = "unbound-pod"
	// RuleForeign: the target is not what the alert is about.
	RuleForeign = "foreign-target"
	// RuleUnknownNamespace: the container is a pod's, of which no namespace is known.
	RuleUnknownNamespace = "unknown-namespace"
	// RuleNamespace: the target is in a protected namespace.
	RuleNamespace = "protected-namespace"
	// RuleLabel: the target's pod has a protecting label.
	RuleLabel = "protected-label"
	// RuleName: the target, its pod or its workload has a protected name.
	RuleName = "protected-name"
	// RulePolicyError: a Rego rule of the guard could not be evaluated.
	RulePolicyError = "guard-error"
	// RuleModeObserve: the playbook only observes.
	RuleModeObserve = "mode-observe"
	// RuleSteppedBack: the playbook observes because it used up its budget or failed too often.
	RuleSteppedBack = "stepped-back"
	// RuleCanary: the target is outside of the playbook's canary.
	RuleCanary = "canary"
	// RuleKillSwitch: a kill switch is on.
	RuleKillSwitch = "kill-switch"
	// RuleWorkloadUnknown: it is not known how many replicas of the workload are ready.
	RuleWorkloadUnknown = "workload-unknown"
	// RuleNodesUnknown: it is not known which nodes are cordoned.
	RuleNodesUnknown = "nodes-unknown"
	// RuleTwoPerson: the action concerns a whole node, and two people must agree.
	RuleTwoPerson = "two-person"
	// RuleApproval: this one action needs a person's consent.
	RuleApproval = "requires-approval"
	// RuleModeApprove: the playbook needs a person's consent.
	RuleModeApprove = "mode-approve"
)

// Those that count, which Reserve asks.
const (
	// RuleErrorRate: too many of the playbook's actions fail; it steps back.
	RuleErrorRate = "error-rate"
	// RuleCooldown: the same was done to the same target a short while ago.
	RuleCooldown = "cooldown"
	// RuleLoop: the workload offends again after a kill.
	RuleLoop = "loop-breaker"
	// RuleShare: too many of a workload's ready replicas would go at once.
	RuleShare = "ready-share"
	// RuleCordoned: too many nodes would be cordoned at once.
	RuleCordoned = "cordoned-nodes"
	// The budgets of a playbook (which steps back then), workload, namespace, node and cluster.
	RuleBudgetPlaybook  = "budget-playbook"
	RuleBudgetWorkload  = "budget-workload"
	RuleBudgetNamespace = "budget-namespace"
	RuleBudgetNode      = "budget-node"
	RuleBudgetCluster   = "budget-cluster"
)

// Those that Release asks beside them.
const (
	// RuleNotJudged: the action never came through Judge and Reserve.
	RuleNotJudged = "not-judged"
	// RuleUnavailable: the guard cannot read what it needs; the action waits.
	RuleUnavailable = "guard-unavailable"
)
