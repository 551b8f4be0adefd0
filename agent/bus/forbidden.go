package bus

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"riposte/agent/alert"
)

// ErrForbidden says that the bus does not let this node's key publish there.
var ErrForbidden = errors.New("the bus forbids it to this node's key")

// sayAgain is how often a forbidden subject is said.
const sayAgain = time.Minute

// denied is how servers put it, after the connection: they never answer the message.
var denied = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]*)"`)

// denial is what the server refused.
type denial struct {
	publish bool
	subject string
}

func refused(err error) (d denial, ok bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return d, false
	}
	m := denied.FindStringSubmatch(err.Error())
	if m == nil {
		return d, false
	}
	return denial{publish: m[1][0] == 'p' || m[1][0] == 'P', subject: m[2]}, true
}

// forbid says clearly what is wrong, and ends at once what would wait for an
// acknowledgement that cannot come.
func (c *Conn) forbid(d denial) {
	c.mu.Lock()
	say := time.Since(c.forbidden[d.subject]) >= sayAgain
	if say && len(c.forbidden) < 64 { // a server that makes up subjects fills nothing
		c.forbidden[d.subject] = time.Now()
	}
	var ended []func(error)
	var batches []string
	if d.publish {
		for m, done := range c.done {
			if m.Subject == d.subject {
				ended = append(ended, done)
				delete(c.done, m)
			}
		}
		for id, b := range c.batches {
			if b.subjects[d.subject] {
				batches = append(batches, id)
			}
		}
	}
	c.mu.Unlock()
	if say {
		c.say(d)
	}
	err := fmt.Errorf("%w: publish on %s", ErrForbidden, d.subject)
	for _, done := range ended {
		done(err)
	}
	for _, id := range batches {
		c.endBatch(id, err)
	}
}

func (c *Conn) say(d denial) {
	cluster, node := c.opt.Cluster, c.opt.Node
	switch {
	case !d.publish:
		c.opt.Log.Error("the bus does not let this node listen: orders and acknowledgements may not come", "subject", d.subject, "key", c.opt.SeedFile)
	case d.subject == alert.HeartbeatSubject(cluster, node):
		c.opt.Log.Error("the bus does not take this node's heartbeats: the responder will call it silent", "cluster", cluster, "node", node, "key", c.opt.SeedFile)
	case strings.HasPrefix(d.subject, alert.ResponderInboxPrefix+"."):
		c.opt.Log.Warn("the bus does not take a second or late receipt of an order; the responder repeats one that it has none of", "subject", d.subject)
	default:
		c.opt.Log.Error("the bus does not take this node's alerts, they wait in the spool: its key is another node's, or lacks a permission (riposte nodes list)",
			"subject", d.subject, "cluster", cluster, "node", node, "key", c.opt.SeedFile)
	}
}
