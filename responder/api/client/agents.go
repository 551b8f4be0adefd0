package client

import (
	"context"
	"net/url"
	"strconv"

	"riposte/responder/api"
)

// AgentFilter chooses agents; zero fields choose all.
type AgentFilter struct {
	Cluster, Node string
	// Silent leaves only those that do not speak, or that do.
	Silent *bool
	Limit  int
	Before string
}

// Agents returns one page of the agents, by cluster and node.
func (c *Client) Agents(ctx context.Context, f AgentFilter) (p api.Page[api.Agent], err error) {
	silent := ""
	if f.Silent != nil {
		silent = strconv.FormatBool(*f.Silent)
	}
	return p, c.get(ctx, "agents", values("cluster", f.Cluster, "node", f.Node, "silent", silent, "limit", number(f.Limit), "before", f.Before), &p)
}

// Agent returns one node's agent.
func (c *Client) Agent(ctx context.Context, cluster, node string) (a api.Agent, err error) {
	return a, c.get(ctx, "agents/"+url.PathEscape(cluster)+"/"+url.PathEscape(node), nil, &a)
}
