package alert

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Priority is Falco's severity; a smaller value is more severe.
type Priority uint8

// Falco's eight priorities, in syslog's order.
const (
	Emergency Priority = iota
	AlertPriority
	Critical
	Error
	Warning
	Notice
	Informational
	Debug
)

var priorityNames = [...]string{"Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"}

// ParsePriority reads one of Falco's names in any case; "info" is Informational.
func ParsePriority(s string) (Priority, error) {
	if strings.EqualFold(s, "info") {
		return Informational, nil
	}
	for i, name := range priorityNames {
		if strings.EqualFold(s, name) {
			return Priority(i), nil
		}
	}
	return 0, fmt.Errorf("unknown priority %q: use one of %s", s, strings.ToLower(strings.Join(priorityNames[:], ", ")))
}

// String is the name as Falco prints it.
func (p Priority) String() string {
	if int(p) < len(priorityNames) {
		return priorityNames[p]
	}
	return fmt.Sprintf("Priority(%d)", uint8(p))
}

// Token is the lower-case name used in subjects.
func (p Priority) Token() string { return strings.ToLower(p.String()) }

// MarshalJSON writes the name.
func (p Priority) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON reads a name.
func (p *Priority) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := ParsePriority(s)
	if err != nil {
		return err
	}
	*p = v
	return nil
}
