// Package ocsf writes entries of the record, and alerts, as events of the Open
// Cybersecurity Schema Framework, which security data lakes and SIEMs read. Names,
// numbers and what is required are those of its version 1.6.0 (schema.ocsf.io):
//
//	about an action           Remediation Activity (7001)
//	about an alert            Detection Finding (2004)
//	login, logout             Authentication (3002)
//	everything else           Base Event (0), with the kind as its activity
//
// What OCSF has no place for stands under "unmapped", so that nothing is lost: the
// chain's number and hash too.
package ocsf

// Version is the schema's.
const Version = "1.6.0"

// Event is one event. Times are Unix milliseconds.
type Event struct {
	ActivityID   int    `json:"activity_id"`
	ActivityName string `json:"activity_name"`
	CategoryUID  int    `json:"category_uid"`
	CategoryName string `json:"category_name"`
	ClassUID     int    `json:"class_uid"`
	ClassName    string `json:"class_name"`
	// TypeUID is ClassUID * 100 + ActivityID.
	TypeUID    int    `json:"type_uid"`
	SeverityID int    `json:"severity_id"`
	Severity   string `json:"severity"`
	Time       int64  `json:"time"`
	Message    string `json:"message,omitempty"`
	// StatusID is the class's, Status its caption, or our own word for 99.
	StatusID     int            `json:"status_id"`
	Status       string         `json:"status"`
	StatusDetail string         `json:"status_detail,omitempty"`
	Metadata     Metadata       `json:"metadata"`
	Actor        *Actor         `json:"actor,omitempty"`
	Device       *Device        `json:"device,omitempty"`
	CommandUID   string         `json:"command_uid,omitempty"`
	FindingInfo  *FindingInfo   `json:"finding_info,omitempty"`
	Resources    []Resource     `json:"resources,omitempty"`
	Evidences    []Evidence     `json:"evidences,omitempty"`
	User         *User          `json:"user,omitempty"`
	Service      *Named         `json:"service,omitempty"`
	Unmapped     map[string]any `json:"unmapped,omitempty"`
}

// Metadata says where an event is from.
type Metadata struct {
	Version        string   `json:"version"`
	Product        Product  `json:"product"`
	Profiles       []string `json:"profiles,omitempty"`
	UID            string   `json:"uid"`
	EventCode      string   `json:"event_code"`
	CorrelationUID string   `json:"correlation_uid,omitempty"`
	Sequence       int64    `json:"sequence,omitempty"`
	LoggedTime     int64    `json:"logged_time,omitempty"`
}

// Product is Riposte.
type Product struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
}

// Actor is who did it: a person, or the part of Riposte.
type Actor struct {
	User    *User  `json:"user,omitempty"`
	AppName string `json:"app_name,omitempty"`
}

// User is a person or token.
type User struct {
	Name string `json:"name"`
}

// Named is what has a name alone.
type Named struct {
	Name string `json:"name"`
}

// Device is the node.
type Device struct {
	Hostname string `json:"hostname"`
	// TypeID is 0: OCSF has no word for a node.
	TypeID int `json:"type_id"`
}

// FindingInfo is what was found.
type FindingInfo struct {
	UID         string   `json:"uid"`
	Title       string   `json:"title"`
	Desc        string   `json:"desc,omitempty"`
	CreatedTime int64    `json:"created_time,omitempty"`
	Analytic    *Rule    `json:"analytic,omitempty"`
	Types       []string `json:"types,omitempty"`
}

// Rule is the rule that fired.
type Rule struct {
	Name string `json:"name"`
	// TypeID is 1, a rule.
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
}

// Resource is the object that an alert is about.
type Resource struct {
	Type      string   `json:"type,omitempty"`
	Namespace string   `json:"namespace,omitempty"`
	Name      string   `json:"name,omitempty"`
	UID       string   `json:"uid,omitempty"`
	Labels    []string `json:"labels,omitempty"`
}

// Evidence is what the alert saw.
type Evidence struct {
	Process   *Process   `json:"process,omitempty"`
	Container *Container `json:"container,omitempty"`
}

// Process is a process with those that started it.
type Process struct {
	Name    string   `json:"name"`
	PID     int32    `json:"pid,omitempty"`
	CmdLine string   `json:"cmd_line,omitempty"`
	Parent  *Process `json:"parent_process,omitempty"`
}

// Container is the process's.
type Container struct {
	UID   string `json:"uid"`
	Name  string `json:"name,omitempty"`
	Image *Named `json:"image,omitempty"`
}

// class is an event's class and category.
type class struct {
	uid, category      int
	name, categoryName string
}

var (
	remediation    = class{7001, 7, "Remediation Activity", "Remediation"}
	finding        = class{2004, 2, "Detection Finding", "Findings"}
	authentication = class{3002, 3, "Authentication", "Identity & Access Management"}
	base           = class{0, 0, "Base Event", "Uncategorized"}
)

// Captions of the numbers that we use.
var (
	severities = map[int]string{0: "Unknown", 1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical", 6: "Fatal"}
	activities = map[class]map[int]string{
		remediation:    {1: "Isolate", 2: "Evict", 3: "Restore", 5: "Detect"},
		finding:        {1: "Create", 2: "Update"},
		authentication: {1: "Logon", 2: "Logoff"},
	}
)

const other = 99

func (e *Event) is(c class, activity int, otherwise string) {
	e.ClassUID, e.ClassName, e.CategoryUID, e.CategoryName = c.uid, c.name, c.category, c.categoryName
	e.ActivityID, e.ActivityName, e.TypeUID = activity, activities[c][activity], c.uid*100+activity
	if e.ActivityName == "" {
		e.ActivityID, e.ActivityName, e.TypeUID = other, otherwise, c.uid*100+other
	}
}

func (e *Event) severity(id int) { e.SeverityID, e.Severity = id, severities[id] }

func product(m Metadata) Metadata {
	m.Version, m.Product = Version, Product{"Riposte", "Riposte"}
	return m
}
