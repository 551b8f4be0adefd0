package alert

import (
	"fmt"
	"strconv"
	"strings"
)

// Stream is the JetStream stream that holds the alerts.
const Stream = "ALERTS"

// Token encodes a cluster's or node's name as one subject token, injectively:
// lower-case letters, digits and '-' stand for themselves, every other byte is
// _HH. Node names have dots, and a dot would open another node's subject.
func Token(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02X", c)
		}
	}
	return b.String()
}

// Name decodes a Token.
func Name(token string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		if token[i] != '_' {
			b.WriteByte(token[i])
			continue
		}
		if i+2 >= len(token) {
			return "", fmt.Errorf("token %q ends inside an escape", token)
		}
		c, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("token %q has a bad escape", token)
		}
		b.WriteByte(byte(c))
		i += 2
	}
	if name := b.String(); Token(name) == token {
		return name, nil
	}
	return "", fmt.Errorf("token %q is not in canonical form", token)
}

// Subject is where one node's alerts of one priority go.
func Subject(cluster, node string, p Priority) string {
	return "alerts." + Token(cluster) + "." + Token(node) + "." + p.Token()
}

// Subjects is the pattern that one node may publish its alerts on.
func Subjects(cluster, node string) string {
	return "alerts." + Token(cluster) + "." + Token(node) + ".*"
}

// ParseSubject reads what Subject wrote.
func ParseSubject(subject string) (cluster, node string, p Priority, err error) {
	if cluster, node, err = ParseOrigin(subject); err != nil {
		return "", "", 0, err
	}
	p, err = ParsePriority(subject[strings.LastIndexByte(subject, '.')+1:])
	return cluster, node, p, err
}

// ParseOrigin reads whose subject it is, of an alert or a Loss.
func ParseOrigin(subject string) (cluster, node string, err error) {
	part := strings.Split(subject, ".")
	if len(part) != 4 || part[0] != "alerts" {
		return "", "", fmt.Errorf("subject %q is not alerts.<cluster>.<node>.<priority>", subject)
	}
	if cluster, err = Name(part[1]); err != nil {
		return "", "", err
	}
	node, err = Name(part[2])
	return cluster, node, err
}

// MessageID is the broker's deduplication key of one alert: <node>/<boot_id>/<seq>.
func (r *Riposte) MessageID() string {
	return r.Node + "/" + r.BootID + "/" + strconv.FormatUint(r.Seq, 10)
}

// HeartbeatSubject is where one node says that it lives.
func HeartbeatSubject(cluster, node string) string {
	return "agents." + Token(cluster) + "." + Token(node)
}

// Heartbeat is what a node's agent says of itself, every ten seconds and at its start.
type Heartbeat struct {
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	BootID  string `json:"boot_id"`
	Version string `json:"version"`
	// Source is where events come from: "ebpf", or "recorded" for a replayed recording.
	Source string `json:"source"`
	// Rules is how many rules are loaded, Ruleset their hash.
	Rules   int    `json:"rules"`
	Ruleset string `json:"ruleset"`
	// Seq is the last alert's number: what the responder lacks below it was lost or is late.
	Seq uint64 `json:"seq"`
	// Lost counts lost data by the place that lost it.
	Lost map[string]uint64 `json:"lost,omitempty"`
	// Waiting is how many alerts and losses are made and not yet acknowledged: what is
	// missing may be among them.
	Waiting uint64 `json:"waiting,omitempty"`
	TimeNS  int64  `json:"time_ns"`
}

// InboxPrefix is the private prefix of one node's NATS inboxes.
func InboxPrefix(cluster, node string) string {
	return "_INBOX." + Token(cluster) + "." + Token(node)
}

// ResponderInboxPrefix is the private prefix of the responders' NATS inboxes.
const ResponderInboxPrefix = "_INBOX_responder"
