package ingest

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"riposte/agent/alert"
)

// Reason is why a message is not taken for an alert; the text stands in counters
// and logs.
type Reason string

// Reasons.
const (
	// Oversize: longer than alert.MaxBytes; it was not even decoded.
	Oversize Reason = "oversize"
	// Malformed: not an alert's JSON, or a value that cannot be.
	Malformed Reason = "malformed"
	// Unstorable: it is an alert, and the database or a playbook's panic refuses it each time.
	Unstorable Reason = "unstorable"
	// Foreign: the alert says another cluster, node, priority or number than the
	// subject and message id that it came with. A node speaks only for itself.
	Foreign Reason = "foreign"
)

// Rejection is the error of a message that can never become an alert.
type Rejection struct {
	Reason Reason
	Err    error
}

func (r *Rejection) Error() string { return string(r.Reason) + ": " + r.Err.Error() }

// Unwrap returns the cause.
func (r *Rejection) Unwrap() error { return r.Err }

func reject(reason Reason, format string, args ...any) error {
	return &Rejection{reason, fmt.Errorf(format, args...)}
}

// Bounds of names, in bytes. The database indexes them, and its indexes refuse
// what is much longer; real ones are shorter by far.
const (
	maxName = 253 // a node's, as Kubernetes bounds it
	maxID   = 256
	maxRule = 1024
)

// Check decodes one message and makes sure that it is an alert, that it is the
// one its subject and message id say, and that all of it can be stored. Its
// error is a *Rejection.
func Check(subject, messageID string, data []byte) (*alert.Alert, error) {
	if len(data) > alert.MaxBytes {
		return nil, reject(Oversize, "%d bytes, an alert has %d at most", len(data), alert.MaxBytes)
	}
	a := new(alert.Alert)
	if err := json.Unmarshal(data, a); err != nil {
		return nil, reject(Malformed, "%w", err)
	}
	if err := a.Validate(); err != nil {
		return nil, reject(Malformed, "%w", err)
	}
	if a.Riposte == nil {
		return nil, reject(Malformed, "riposte is missing: on the bus an alert says which node it is from")
	}
	if identity, ok := IntakeIdentity(subject); ok != (a.Riposte.Intake != "") || identity != a.Riposte.Intake {
		return nil, reject(Foreign, "riposte.intake names the intake's identity %q, the subject is %s", a.Riposte.Intake, subject)
	}
	if err := checkOrigin(subject, messageID, a); err != nil {
		return nil, err
	}
	if err := checkBounds(a); err != nil {
		return nil, reject(Malformed, "%w", err)
	}
	return a, nil
}

// intakePrefix begins the subjects of what comes over the HTTP intake. The stream
// of alerts has none of these, so nothing that was published can pass for it.
const intakePrefix = "intake."

// IntakeSubject is the subject of what an identity of the HTTP intake sends.
func IntakeSubject(identity string) string { return intakePrefix + alert.Token(identity) }

// IntakeIdentity reads what IntakeSubject wrote.
func IntakeIdentity(subject string) (string, bool) {
	token, ok := strings.CutPrefix(subject, intakePrefix)
	if !ok {
		return "", false
	}
	name, err := alert.Name(token)
	return name, err == nil
}

func checkOrigin(subject, messageID string, a *alert.Alert) error {
	r := a.Riposte
	if r.Intake != "" {
		return nil // the intake made this part itself, of what the identity may say
	}
	cluster, node, _, err := alert.ParseSubject(subject)
	switch {
	case err != nil:
		return reject(Foreign, "%w", err)
	case r.Cluster != cluster || r.Node != node:
		return reject(Foreign, "riposte names node %q of cluster %q, the subject %s is that of node %q of cluster %q", r.Node, r.Cluster, subject, node, cluster)
	case subject != alert.Subject(cluster, node, a.Priority):
		return reject(Foreign, "the priority is %s, the subject is %s", a.Priority, subject)
	case messageID != r.MessageID():
		return reject(Foreign, "the message id is %q, the alert's is %q", messageID, r.MessageID())
	}
	return nil
}

func checkBounds(a *alert.Alert) error {
	r := a.Riposte
	if err := checkUUID("uuid", a.UUID); err != nil {
		return err
	}
	if err := checkUUID("riposte.boot_id", r.BootID); err != nil {
		return err
	}
	if r.Seq > math.MaxInt64 {
		return fmt.Errorf("riposte.seq is %d, which nobody can have counted to", r.Seq)
	}
	type text struct {
		key, value string
		limit      int
	}
	texts := []text{{"rule", a.Rule, maxRule}, {"riposte.intake", r.Intake, maxName}}
	if c := r.Container; c != nil {
		texts = append(texts, text{"riposte.container.id", c.ID, maxID})
	}
	if p := r.Pod; p != nil {
		texts = append(texts, text{"riposte.pod.uid", p.UID, maxID}, text{"riposte.pod.namespace", p.Namespace, maxID}, text{"riposte.pod.name", p.Name, maxID})
	}
	for _, t := range texts {
		if len(t.value) > t.limit {
			return fmt.Errorf("%s has %d bytes, %d are allowed", t.key, len(t.value), t.limit)
		}
	}
	return checkNames(r.Cluster, r.Node)
}

// checkNames makes sure that a cluster's and a node's name can be stored and shown.
func checkNames(cluster, node string) error {
	for _, name := range [][2]string{{"cluster", cluster}, {"node", node}} {
		switch {
		case len(name[1]) > maxName:
			return fmt.Errorf("riposte.%s has %d bytes, %d are allowed", name[0], len(name[1]), maxName)
		case !utf8.ValidString(name[1]) || strings.ContainsFunc(name[1], unicode.IsControl):
			return fmt.Errorf("riposte.%s %q has characters that no name has", name[0], name[1])
		}
	}
	return nil
}

// checkUUID takes the one usual form only: the database would take others for
// the same UUID, and then two texts were one key.
func checkUUID(key, value string) error {
	id, err := uuid.Parse(value)
	if err != nil || id.String() != value {
		return fmt.Errorf("%s %.60q is not a UUID in lower-case hexadecimal", key, value)
	}
	return nil
}
