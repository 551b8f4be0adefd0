package natsd

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
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
			what = fmt.Sprintf("node %q of cluster %q", nodes[i-1].Name, nodes[i-1].Cluster)
		}
		fmt.Fprintf(&b, "    # %s\n    { nkey: %s, permissions: { publish: { allow: %s }, subscribe: { allow: %s }%s } }\n", what, u.Nkey,
			quoted(u.Permissions.Publish.Allow), quoted(u.Permissions.Subscribe.Allow), responses(u.Permissions.Response))
	}
	b.WriteString("  ]\n}\n")
	return []byte(b.String())
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
