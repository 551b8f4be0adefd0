package server

import (
	"riposte/responder/api"
	"riposte/responder/api/access"
	"riposte/responder/incident"
)

// table is every endpoint under /api/v1. It is what is served, and what the document
// describes.
func (s *Server) table() []route {
	const v, r, a, admin = access.Viewer, access.Responder, access.Approver, access.Admin
	reason := api.Reason{}
	return []route{
		{
			pattern: "GET /api/v1/alerts", name: "listAlerts", says: "List alerts, the newest first.", role: v,
			query: alertParameters, answer: api.Page[api.Alert]{}, serve: list(alertFilter, s.Store.Alerts, alertResource),
		},
		{
			pattern: "GET /api/v1/alerts/{id}", name: "showAlert", says: "Show one alert.", role: v,
			answer: api.Alert{}, serve: show(s.Store.Alert, alertResource),
		},
		{
			pattern: "GET /api/v1/incidents", name: "listIncidents", says: "List incidents, the latest alert first.", role: v,
			query: incidentParameters, answer: api.Page[api.Incident]{}, serve: list(incidentFilter, s.Store.Incidents, incidentResource),
		},
		{
			pattern: "GET /api/v1/incidents/{id}", name: "showIncident", says: "Show one incident.", role: v,
			answer: api.Incident{}, serve: show(s.Store.Incident, incidentResource),
		},
		{
			pattern: "GET /api/v1/incidents/{id}/timeline", name: "showIncidentTimeline", says: "Show what happened in an incident, the first 1000 events.", role: v,
			answer: api.IncidentTimeline{}, serve: s.showIncidentTimeline,
		},
		{
			pattern: "POST /api/v1/incidents/{id}/resolve", name: "resolveIncident", says: "Say that an incident is over.", role: r,
			body: reason, answer: api.Incident{}, serve: s.changeIncident(incident.Resolved),
		},
		{
			pattern: "POST /api/v1/incidents/{id}/false-positive", name: "falsePositive", says: "Say that an incident was none.", role: r,
			body: reason, answer: api.Incident{}, serve: s.changeIncident(incident.FalsePositive),
		},
		{
			pattern: "GET /api/v1/decisions", name: "listDecisions", says: "List what playbooks answered, the newest first, without their inputs.", role: v,
			query: decisionParameters, answer: api.Page[api.Decision]{}, serve: list(decisionFilter, s.Store.Decisions, decisionResource),
		},
		{
			pattern: "GET /api/v1/decisions/{id}", name: "showDecision", says: "Show one decision with its input.", role: v,
			answer: api.Decision{}, serve: s.showDecision,
		},
		{
			pattern: "GET /api/v1/decisions/export", name: "exportDecisions", says: "Stream alerts with what was decided about them, one a line, the oldest first, and a line with end when that is all.", role: v,
			query: []parameter{sinceParameter, {name: "playbook"}, {name: "alert", says: "An alert's id or its last twelve digits."}}, raw: s.exportDecisions, kind: ndjson,
		},
		{
			pattern: "GET /api/v1/actions", name: "listActions", says: "List actions, the newest plan first.", role: v,
			query: actionParameters, answer: api.Page[api.Action]{}, serve: list(actionFilter, s.Store.Actions, actionResource),
		},
		{
			pattern: "GET /api/v1/actions/{id}", name: "showAction", says: "Show one action with what it found, left and gathered.", role: v,
			answer: api.Action{}, serve: s.showAction,
		},
		{
			pattern: "GET /api/v1/actions/{id}/timeline", name: "showTimeline", says: "Show how long each stage took since the system call.", role: v,
			answer: api.Timeline{}, serve: show(s.Store.Action, timelineOf),
		},
		{
			pattern: "GET /api/v1/actions/{id}/approval", name: "showApproval", says: "Show what people were asked about an action, and their answers.", role: v,
			answer: api.Approval{}, serve: s.showApproval,
		},
		{
			pattern: "POST /api/v1/actions/{id}/approve", name: "approve", says: "Agree to a waiting action.", role: a,
			body: api.Comment{}, answer: api.Approval{}, serve: s.vote(true),
		},
		{
			pattern: "POST /api/v1/actions/{id}/reject", name: "reject", says: "Reject a waiting action.", role: a,
			body: api.Comment{}, answer: api.Approval{}, serve: s.vote(false),
		},
		{
			pattern: "POST /api/v1/actions/{id}/cancel", name: "cancel", says: "End a planned action before it is begun.", role: r,
			body: reason, answer: api.Action{}, serve: s.changeAction(s.cancelAction),
		},
		{
			pattern: "POST /api/v1/actions/{id}/lift", name: "lift", says: "Have an action's effect lifted; the answer is the action as it is then.", role: r,
			body: reason, answer: api.Action{}, serve: s.changeAction(s.Lift),
		},
		{
			pattern: "GET /api/v1/approvals", name: "listApprovals", says: "List what waits for people, the newest plan first.", role: v,
			query: paged(), answer: api.Page[api.Approval]{}, serve: s.listApprovals,
		},
		{
			pattern: "GET /api/v1/playbooks", name: "listPlaybooks", says: "List the loaded playbooks with the modes in force.", role: v,
			answer: api.Page[api.PlaybookStatus]{}, serve: s.listPlaybooks,
		},
		{
			pattern: "GET /api/v1/playbooks/{name}", name: "showPlaybook", says: "Show one playbook; its ETag is the one that a change of its mode may name.", role: v,
			answer: api.PlaybookStatus{}, serve: s.showPlaybook,
		},
		{
			pattern: "GET /api/v1/playbooks/{name}/source", name: "showSource", says: "Show a playbook's files.", role: v,
			answer: api.PlaybookSource{}, serve: s.showSource,
		},
		{
			pattern: "GET /api/v1/playbooks/{name}/coverage", name: "showCoverage", says: "Show how much of a playbook its tests evaluate; they run when this is asked for first.", role: v,
			answer: api.PlaybookCoverage{}, serve: s.showCoverage,
		},
		{
			pattern: "PUT /api/v1/playbooks/{name}/mode", name: "setMode", says: "Set a playbook's mode; mode default is the one that its METADATA says.", role: admin, whole: true,
			body: api.Mode{}, answer: api.PlaybookStatus{}, serve: s.setMode,
		},
		{
			pattern: "GET /api/v1/guard/kill-switch", name: "showKillSwitch", says: "Show the kill switch, with the narrower ones that are on.", role: v,
			answer: api.KillSwitch{}, serve: s.showKillSwitch,
		},
		{
			pattern: "PUT /api/v1/guard/kill-switch", name: "setKillSwitch", says: "Stop effects, or let them happen again, for which the role admin is needed.", role: r,
			body: api.KillSwitchChange{}, answer: api.KillSwitch{}, serve: s.setKillSwitch,
		},
		{
			pattern: "GET /api/v1/guard/budgets", name: "listBudgets", says: "List the budgets of which something is used, the fullest first.", role: v,
			answer: api.Page[api.Budget]{}, serve: s.listBudgets,
		},
		{
			pattern: "GET /api/v1/agents", name: "listAgents", says: "List the agents, by cluster and node.", role: v,
			query: agentParameters, answer: api.Page[api.Agent]{}, serve: list(agentFilter, s.Store.Agents, agentResource),
		},
		{
			pattern: "GET /api/v1/agents/{cluster}/{node}", name: "showAgent", says: "Show one agent as its last heartbeat described it.", role: v,
			answer: api.Agent{}, serve: s.showAgent,
		},
		{
			pattern: "GET /api/v1/audit", name: "listAudit", says: "List the record, the newest entry first.", role: v,
			query: auditParameters, answer: api.Page[api.AuditEntry]{}, serve: s.listAudit,
		},
		{
			pattern: "GET /api/v1/audit/stats", name: "countAudit", says: "Count the record's entries by some of day, cluster, kind, namespace, playbook, action and result; an answer has 10000 rows at most.", role: v,
			query: countParameters, answer: api.Page[api.AuditCount]{}, serve: s.countAudit,
		},
		{
			pattern: "GET /api/v1/audit/stories/{id}", name: "showStory", says: "Tell all about an action, an alert (its id or the last twelve digits) or an entry (its number, or CLUSTER/NUMBER).", role: v,
			answer: api.Story{}, serve: s.showStory,
		},
		{
			pattern: "GET /api/v1/audit/verify", name: "verifyAudit", says: "Check every chain of the record; that it is bad is in the answer.", role: v, whole: true,
			answer: api.Verification{}, raw: s.verifyAudit, kind: ndjson,
		},
		{
			pattern: "GET /api/v1/audit/export", name: "exportAudit", says: "Stream the record, one entry a line; docs/audit.md describes the format.", role: v, whole: true,
			query: exportParameters, raw: s.exportAudit, kind: ndjson,
		},
		{
			pattern: "POST /api/v1/audit/redactions", name: "redactAudit", says: "Erase one value of one entry of the record, for good.", role: admin, whole: true,
			body: api.Redaction{}, answer: api.Redaction{}, serve: s.redactAudit,
		},
		{
			pattern: "GET /api/v1/deadletters", name: "listDeadLetters", says: "List messages that could not be processed, the latest first, without their bodies.", role: v,
			query: deadLetterParameters, answer: api.Page[api.DeadLetter]{}, serve: list(deadLetterFilter, s.Store.DeadLetters, deadLetterResource),
		},
		{
			pattern: "GET /api/v1/deadletters/{id}", name: "showDeadLetter", says: "Show one dead letter with its body.", role: v,
			answer: api.DeadLetter{}, serve: s.showDeadLetter,
		},
		{
			pattern: "POST /api/v1/deadletters/{id}/redrive", name: "redrive", says: "Process a dead letter as if it had just come.", role: admin,
			body: reason, answer: api.DeadLetter{}, serve: s.redriveDeadLetter,
		},
		{
			pattern: "GET /api/v1/status", name: "showStatus", says: "Show one look at everything.", role: v,
			answer: api.Status{}, serve: s.showStatus,
		},
		{
			pattern: "GET /api/v1/events", name: "streamEvents", says: "Follow what is committed as server-sent events, from now on or after Last-Event-ID; docs/api.md describes them.", role: v,
			raw: s.streamEvents, kind: "text/event-stream",
		},
		{
			pattern: "GET /api/v1/tokens", name: "listTokens", says: "List the tokens that were made over the API, the newest first.", role: admin, whole: true,
			query: paged(parameter{name: "name", says: "Whose they are."}), answer: api.Page[api.Token]{}, serve: s.listTokens,
		},
		{
			pattern: "POST /api/v1/tokens", name: "createToken", says: "Make a token; it is shown in this answer alone.", role: admin, whole: true,
			body: api.NewToken{}, answer: api.CreatedToken{}, serve: s.createToken, secret: true,
		},
		{
			pattern: "POST /api/v1/tokens/{id}/revoke", name: "revokeToken", says: "End a token and its sessions at once.", role: admin, whole: true,
			body: reason, answer: api.Token{}, serve: s.revokeToken,
		},
		{
			pattern: "GET /api/v1/session", name: "showIdentity", says: "Show who asks, and what they may do.",
			answer: api.Identity{}, serve: s.showIdentity,
		},
		{
			// Open, because it is where the token is checked.
			pattern: "POST /api/v1/session", name: "signIn", says: "Trade a token for a session cookie of twelve hours.", open: true,
			body: api.Login{}, raw: s.login,
		},
		{
			pattern: "DELETE /api/v1/session", name: "signOut", says: "Make the browser forget its session.",
			answer: api.SignedOut{}, raw: s.logout,
		},
		{
			// Open, because nobody is known yet.
			pattern: "GET /api/v1/signin", name: "showSignIn", says: "Show how people sign in at the console, and why this browser's last attempt with the issuer failed.", open: true,
			answer: api.SignIn{}, serve: s.showSignIn,
		},
		{
			pattern: "POST /api/v1/signin", name: "beginSignIn", says: "Begin to sign in with the OpenID Connect issuer.", open: true,
			body: api.SignInAttempt{}, answer: api.SignInBegun{}, raw: s.beginSignIn,
		},
		{
			pattern: "GET /api/v1/openapi.json", name: "showDocument", says: "Show this document.",
			raw: s.showDocument, kind: "application/json",
		},
	}
}
