// Package playbooks holds the playbooks that come with Riposte, the Rego
// libraries that playbooks import, the guard's rules, and the schemas of their
// inputs.
package playbooks

import "embed"

// FS is all of it: lib/, guard/, schemas/, and one folder for each category of
// playbooks.
//
//go:embed lib guard response triage schemas
var FS embed.FS
