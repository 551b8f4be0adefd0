package natsd

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"riposte/responder/bus"
)

// Config is the part of a NATS server's configuration that lets in the responder
// and these nodes, each with the permissions that Start gives them: a file for
// nats-server.conf to include.
func Config(responderKey string, nodes []Node) []byte {
	var b strings.Builder
	b.WriteString("# Written by `riposte nodes`: change it with that, not by hand.\nauthorization {\n  users = [\n")
	for i, u := range users(Options{Responder: responderKey, Nodes: nodes}) {
		what := "the responders"
		if i > 0 {
			n := nodes[i-1]
			what = fmt.Sprintf("%s %q of cluster %q", n.kind(), n.Name, n.Cluster)
		}
		fmt.Fprintf(&b, "    # %s\n    { nkey: %s, permissions: { publish: { allow: %s }, subscribe: { allow: %s }%s } }\n", what, u.Nkey,
			quoted(u.Permissions.Publish.Allow), quoted(u.Permissions.Subscribe.Allow), responses(u.Permissions.Response))
	}
	b.WriteString("  ]\n}\n")
	return []byte(b.String())
}

func (n Node) kind() string {
	if n.Leaf {
		return "leaf server"
	}
	return "node"
}

// CalloutConfig is the same for a server that asks the responders who an agent is: they
// alone have a key, and answer with the account key's signature.
func CalloutConfig(responderKey, accountKey string) []byte {
	p := responder()
	p.Subscribe.Allow = append(p.Subscribe.Allow, bus.AdmissionSubject)
	p.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	return fmt.Appendf(nil, `# Written by "riposte keys make": change it with that, not by hand.
authorization {
  timeout: 5 # seconds for the responders' answer
  users = [
    # the responders
    { nkey: %s, permissions: { publish: { allow: %s }, subscribe: { allow: %s }%s } }
  ]
  auth_callout {
    issuer: %s
    # Who does not need to be asked about. Add users of your own here too.
    auth_users: [ %s ]
  }
}
`, responderKey, quoted(p.Publish.Allow), quoted(p.Subscribe.Allow), responses(p.Response), accountKey, responderKey)
}

// quoted writes subjects as a list; tokens have no character that would need more.
func quoted(subjects []string) string {
	b, _ := json.Marshal(subjects) // texts
	return strings.ReplaceAll(string(b), `\u003e`, ">")
}

func responses(r *server.ResponsePermission) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf(", allow_responses: { max: %d, expires: %q }", r.MaxMsgs, r.Expires)
}
