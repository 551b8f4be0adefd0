package natsd

import (
	"github.com/nats-io/nats-server/v2/server"

	"riposte/agent/alert"
	"riposte/responder/bus"
)

// users lists who may connect. Nobody else may: there is no anonymous user.
func users(o Options) []*server.NkeyUser {
	all := []*server.NkeyUser{{Nkey: o.Responder, Permissions: responder()}}
	for _, n := range o.Nodes {
		p := agent(n.Cluster, n.Name)
		if n.Leaf {
			p = leaf(n.Cluster)
		}
		all = append(all, &server.NkeyUser{Nkey: n.Key, Permissions: p})
	}
	return all
}

// agent lets a node speak for itself, answer its own orders and hear what is said to
// all nodes of its cluster, nothing more.
func agent(cluster, node string) *server.Permissions {
	publish, subscribe := bus.NodeMay(cluster, node)
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: subscribe},
		Response:  &server.ResponsePermission{MaxMsgs: 1, Expires: bus.AnswerWithin},
	}
}

// leaf lets a leaf server carry what the agents of its cluster say and hear.
func leaf(cluster string) *server.Permissions {
	publish, subscribe := bus.LeafMay(cluster)
	return &server.Permissions{Publish: &server.SubjectPermission{Allow: publish}, Subscribe: &server.SubjectPermission{Allow: subscribe}}
}

// responder lets the responder keep the stream of alerts, read it, send orders and
// standing orders and hear heartbeats, and put checkpoints into the stream AUDIT. It
// can delete, purge or loosen neither, nor write an alert.
func responder() *server.Permissions {
	const stream, record = alert.Stream, "AUDIT"
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"$JS.API.INFO", "$JS.API.STREAM.CREATE." + stream, "$JS.API.STREAM.UPDATE." + stream, "$JS.API.STREAM.INFO." + stream,
			"$JS.API.CONSUMER.CREATE." + stream + ".>", "$JS.API.CONSUMER.DURABLE.CREATE." + stream + ".>",
			"$JS.API.CONSUMER.INFO." + stream + ".>", "$JS.API.CONSUMER.MSG.NEXT." + stream + ".>",
			"$JS.ACK." + stream + ".>", "orders.>", "standing.*", "switch.*",
			"audit.*.checkpoint", "$JS.API.STREAM.CREATE." + record, "$JS.API.STREAM.INFO." + record, "$JS.API.STREAM.MSG.GET." + record,
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{alert.ResponderInboxPrefix + ".>", "agents.>"}},
	}
}
