package store

// The queries themselves, for the tests of their plans.
var (
	AuditQuery     = auditQuery
	CountQuery     = countQuery
	AlertsQuery    = alertsQuery
	ActionsQuery   = actionsQuery
	IncidentsQuery = incidentsQuery
)

// What is asked for each batch of alerts.
const (
	AroundInbox     = aroundInbox
	AroundIncidents = aroundIncidents
	AroundActions   = aroundActions
	AroundNodes     = aroundNodes
	AroundObjects   = aroundObjects
)

// ForValues is how the questions of people are run.
const ForValues = forValues
