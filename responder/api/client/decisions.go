package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"riposte/responder/api"
)

// DecisionFilter chooses decisions; zero fields choose all.
type DecisionFilter struct {
	Playbook, State, Alert string
	Since                  time.Time
	Limit                  int
	Before                 string
}

// Decisions returns one page of what playbooks answered, the newest first.
func (c *Client) Decisions(ctx context.Context, f DecisionFilter) (p api.Page[api.Decision], err error) {
	return p, c.get(ctx, "decisions", values("playbook", f.Playbook, "state", f.State, "alert", f.Alert, "since", stamp(f.Since),
		"limit", number(f.Limit), "before", f.Before), &p)
}

// Decision returns one with its input, by its id or its id's last twelve digits.
func (c *Client) Decision(ctx context.Context, id string) (d api.Decision, err error) {
	return d, c.get(ctx, "decisions/"+url.PathEscape(id), nil, &d)
}

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
