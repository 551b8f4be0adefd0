package bus

import (
	"time"

	"riposte/agent/alert"
	"riposte/agent/order"
)

// NodeMay are the subjects on which a node's agent speaks for itself, and those on which
// it hears its own orders and what is said to all nodes of its cluster. Beside them it
// may answer each message that it gets once, within AnswerWithin.
func NodeMay(cluster, node string) (publish, subscribe []string) {
	return []string{alert.Subjects(cluster, node), alert.HeartbeatSubject(cluster, node)},
		[]string{order.Subject(cluster, node), order.StandingSubject(cluster), order.SwitchSubject(cluster), alert.InboxPrefix(cluster, node) + ".>"}
}

// LeafMay are the subjects of all nodes of a cluster, for a NATS leaf server that stands
// between them and the responders. It keeps them apart itself.
func LeafMay(cluster string) (publish, subscribe []string) {
	c := alert.Token(cluster)
	// Not "*" at the end: the hub tells a leaf server of a subscription with wildcards (the
	// stream's, the heartbeats') only if it sees that the permission overlaps with it, and
	// of those that end in "*" it does not.
	return []string{"alerts." + c + ".>", "agents." + c + ".>", alert.ResponderInboxPrefix + ".>"},
		[]string{"orders." + c + ".*", order.StandingSubject(cluster), order.SwitchSubject(cluster), "_INBOX." + c + ".>"}
}

// AnswerWithin is how long an agent may take for the receipt of an order.
const AnswerWithin = time.Minute
