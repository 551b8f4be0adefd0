package audit

// Kind says what an entry is about. The names are stable: they stand in the
// record, in the API and in people's queries.
type Kind string

// Kinds of entries.
const (
	// Alert: an alert was taken in.
	Alert Kind = "alert"
	// AlertForged: an alert named a pod that is known to be on another node.
	AlertForged Kind = "alert.forged"
	// AlertRepeated: alerts came that are equal to one that the incident has already; the note says how many.
	AlertRepeated Kind = "alert.repeated"
	// AlertLost: an agent says that it had to drop alerts.
	AlertLost Kind = "alert.lost"
	// DeadLetter: a message could not be processed and was put aside, or was driven again.
	DeadLetter Kind = "deadletter"
	// IncidentOpened and IncidentState: an incident began, or changed its state.
	IncidentOpened Kind = "incident.opened"
	IncidentState  Kind = "incident.state"
	// Decision: a playbook gave an answer to an alert.
	Decision Kind = "decision"
	// DecisionRefused: a playbook's answer had a wrong shape or came too late.
	DecisionRefused Kind = "decision.refused"
	// ActionIntent: an action was planned. It is written before anything is done.
	ActionIntent Kind = "action.intent"
	// ActionObserved: what would have been done, had the playbook been in mode enforce.
	ActionObserved Kind = "action.observed"
	// ActionRefused: the guard said no.
	ActionRefused Kind = "action.refused"
	// ActionJoined: the same effect on the same object was planned before.
	ActionJoined Kind = "action.joined"
	// ActionProlonged: another decision made the effect of an action last longer.
	ActionProlonged Kind = "action.prolonged"
	// ActionHeld: the last gate keeps a planned action waiting, for instance while the kill switch is on.
	ActionHeld Kind = "action.held"
	// ActionResult: how an action ended.
	ActionResult Kind = "action.result"
	// ActionVerified: the effect was seen.
	ActionVerified Kind = "action.verified"
	// ActionLift: a person wants the effect lifted.
	ActionLift Kind = "action.lift"
	// ActionLifted: the effect was lifted, or could not be.
	ActionLifted Kind = "action.lifted"
	// KillSwitch: somebody turned it on or off.
	KillSwitch Kind = "killswitch"
	// Approval: a person agreed to an action or rejected it.
	Approval Kind = "approval"
	// PlaybookMode: somebody set a playbook's mode, or the guard made it step back.
	PlaybookMode Kind = "playbook.mode"
	// PlaybookReload: playbooks were loaded, with what changed, or could not be.
	PlaybookReload Kind = "playbook.reload"
	// GuardReload: the user's guard rules changed or could not be read.
	GuardReload Kind = "guard.reload"
	// Configuration: a file that says what may be done was read anew.
	Configuration Kind = "configuration"
	// Login: somebody used the API, or was turned away.
	Login Kind = "login"
	// Token: a token of the API was made or revoked.
	Token Kind = "token"
	// Logout: somebody ended a session.
	Logout Kind = "logout"
	// Redaction: somebody has a sealed value of the record erased.
	Redaction Kind = "audit.redaction"
	// Retention: the oldest months were taken out.
	Retention Kind = "audit.retention"
	// Startup and Shutdown: a responder began and ended its work.
	Startup  Kind = "startup"
	Shutdown Kind = "shutdown"
)

// Kinds lists all kinds, in the order of an event's way.
func Kinds() []Kind {
	return []Kind{
		Alert, AlertForged, AlertRepeated, AlertLost, DeadLetter, IncidentOpened, IncidentState, Decision, DecisionRefused, ActionIntent, ActionObserved, ActionRefused, ActionJoined, ActionProlonged, ActionHeld,
		ActionResult, ActionVerified, ActionLift, ActionLifted, KillSwitch, Approval, PlaybookMode, PlaybookReload, GuardReload, Configuration, Login, Logout, Token, Redaction, Retention, Startup, Shutdown,
	}
}

var kinds = func() map[Kind]bool {
	m := map[Kind]bool{}
	for _, k := range Kinds() {
		m[k] = true
	}
	return m
}()
