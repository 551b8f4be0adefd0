package store

// The queries themselves, for the tests of their plans.
var (
	AuditQuery     = auditQuery
	CountQuery     = countQuery
	AlertsQuery    = alertsQuery
	ActionsQuery   = actionsQuery
	IncidentsQuery = incidentsQuery
)

// ForValues is how they are run.
const ForValues = forValues
