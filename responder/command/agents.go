package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// NewAgents is the command "agents".
func NewAgents() *cobra.Command {
	c := &cobra.Command{
		Use: "agents", Short: "List the nodes' agents: versions, losses, when each was heard", Args: cobra.NoArgs, RunE: help,
		Example: "  riposte agents list --silent\n  riposte agents show node-1",
	}
	ConnectFlags(c)
	c.AddCommand(newAgentsList(), newAgentsShow())
	return c
}

func newAgentsList() *cobra.Command {
	var f client.AgentFilter
	var silent bool
	l := &listing[api.Agent]{
		header: []string{"NODE", "CLUSTER", "STATE", "HEARD", "VERSION", "SOURCE", "RULES", "LOST"},
		row: func(p *printer, a api.Agent) []string {
			return []string{a.Node, a.Cluster, agentState(a), p.time(a.SeenAt), dash(a.Version), dash(a.Source), strconv.Itoa(a.Rules), lost(a.Lost)}
		},
		wideHeader: []string{"INCIDENT"},
		wide:       func(_ *printer, a api.Agent) []string { return []string{dash(shortID(a.IncidentID))} },
		name:       func(a api.Agent) string { return a.Cluster + "/" + a.Node },
		fetch: func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[api.Agent], error) {
			f.Limit, f.Before = limit, before
			return c.Agents(ctx, f)
		},
	}
	c := &cobra.Command{
		Use: "list", Short: "List agents, by cluster and node", Args: cobra.NoArgs,
		Long: "List every agent that ever spoke, by cluster and node. One is silent when it has not\n" +
			"spoken for longer than it should, and losing when it had to drop events since it\n" +
			"started; the numbers say where. A place whose name ends in _cut lost a part of one.",
		Example: "  riposte agents list\n  riposte agents list --silent -o wide\n  riposte agents list -o json --cluster prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("silent") {
				f.Silent = &silent
			}
			return l.run(cmd, args)
		},
	}
	l.flags(c, "agents")
	c.Flags().StringVar(&f.Cluster, "cluster", "", "only of this cluster")
	c.Flags().StringVar(&f.Node, "node", "", "only of this node")
	c.Flags().BoolVar(&silent, "silent", false, "only those that are silent; --silent=false for the others")
	must(c.RegisterFlagCompletionFunc("node", completeAgents))
	return c
}

// agentState is one word about an agent.
func agentState(a api.Agent) string {
	switch {
	case a.Silent:
		return "silent"
	case dropping(a.Lost):
		return "losing"
	}
	return "well"
}

// partly are the places that cut something off an event, as an environment of more than
// 4,096 bytes: that is no loss of an event, and common. The names are the agent's own.
var partly = []string{"path_cut", "argument_unreadable", "exec_args_cut", "exec_env_cut", "file_gone", "messages_cut"}

// dropping says whether anything whole was lost.
func dropping(by map[string]uint64) bool {
	for place, n := range by {
		if n > 0 && !slices.Contains(partly, place) {
			return true
		}
	}
	return false
}

// lost lists the places that lost something.
func lost(by map[string]uint64) string {
	var parts []string
	for place, n := range by {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", place, n))
		}
	}
	slices.Sort(parts)
	return dash(strings.Join(parts, " "))
}

func newAgentsShow() *cobra.Command {
	var p printer
	var cluster string
	c := &cobra.Command{
		Use: "show NODE", Short: "Show one agent as its last heartbeat described it", Args: cobra.ExactArgs(1), ValidArgsFunction: once(completeAgents),
		Long: "Show the agent of a node. Where several clusters have a node of this name, say which\nwith --cluster, or as CLUSTER/NODE.",
		Example: "  riposte agents show node-1\n  riposte agents show prod/node-1\n" +
			"  riposte agents show node-1 -o jsonpath={.version}",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				a, err := findAgent(ctx, c, cluster, args[0])
				if err != nil {
					return err
				}
				return showAgent(&p, a)
			})
		},
	}
	printerFlags(c, &p)
	c.Flags().StringVar(&cluster, "cluster", "", "the node's cluster")
	return c
}

// findAgent looks for a node in all clusters, unless one is named.
func findAgent(ctx context.Context, c *client.Client, cluster, node string) (api.Agent, error) {
	if before, after, ok := strings.Cut(node, "/"); ok && cluster == "" {
		cluster, node = before, after
	}
	if cluster != "" {
		return c.Agent(ctx, cluster, node)
	}
	page, err := c.Agents(ctx, client.AgentFilter{Node: node, Limit: 2})
	switch {
	case err != nil:
		return api.Agent{}, err
	case len(page.Items) == 0:
		return api.Agent{}, coded{fmt.Errorf("no agent spoke for node %q: `riposte agents list` has those that did", visible(node)), exitNotFound}
	case len(page.Items) > 1:
		return api.Agent{}, badFlag(errors.New("several clusters have a node of this name: say which with --cluster"))
	}
	return c.Agent(ctx, page.Items[0].Cluster, node)
}

func showAgent(p *printer, a api.Agent) error {
	if !p.text() {
		return p.value(a)
	}
	p.widths = []int{8, 0}
	if err := p.rows([][]string{
		{"Node", a.Node},
		{"Cluster", a.Cluster},
		{"State", agentState(a)},
		{"Heard", utc(a.SeenAt)},
		{"Version", dash(a.Version)},
		{"Source", dash(a.Source)},
		{"Rules", strconv.Itoa(a.Rules)},
		{"Incident", dash(a.IncidentID)},
	}); err != nil || len(a.Lost) == 0 {
		return err
	}
	var rows [][]string
	for _, place := range slices.SortedFunc(maps.Keys(a.Lost), func(x, y string) int { return cmp.Or(cmp.Compare(a.Lost[y], a.Lost[x]), cmp.Compare(x, y)) }) {
		rows = append(rows, []string{place, strconv.FormatUint(a.Lost[place], 10)})
	}
	if _, err := fmt.Fprintln(p.out); err != nil {
		return err
	}
	return p.table([]string{"LOST AT", "SINCE THE AGENT'S START"}, rows)
}
