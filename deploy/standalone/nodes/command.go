package nodes

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// New is the command "nodes".
func New() *cobra.Command {
	c := &cobra.Command{
		Use: "nodes", Short: "Issue, rotate and revoke the keys of nodes' agents", Args: cobra.NoArgs,
		Long: `Issue, rotate and revoke the NATS keys of nodes' agents. A node's key opens its own
subjects and nothing else. The folder of keys holds the registry, the seeds and
users.conf, which nats-server.conf includes; after a change the server has to
reload: nats-server --signal reload.`,
		Example: "  riposte nodes issue node-1.example --cluster prod\n  riposte nodes rotate node-1.example --cluster prod\n  riposte nodes list",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	k := &keys{}
	c.PersistentFlags().StringVar(&k.dir, "keys", "keys", "folder of keys")
	if err := c.MarkPersistentFlagDirname("keys"); err != nil {
		panic(err) // the flag's name is wrong: a programming error
	}
	c.AddCommand(k.issue(), k.rotate(), k.revoke(), k.list())
	return c
}

// keys are the flags of all commands.
type keys struct{ dir, cluster string }

// with opens the registry for one command.
func (k *keys) with(do func(*Registry) error) error {
	r, err := Open(k.dir, time.Now)
	if err != nil {
		return err
	}
	return errors.Join(do(r), r.Close())
}

// change is a command about one node.
func (k *keys) change(c *cobra.Command, do func(w io.Writer, r *Registry, node string) error) *cobra.Command {
	k.about(c)
	c.Args = cobra.ExactArgs(1)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		return k.with(func(r *Registry) error { return do(cmd.OutOrStdout(), r, args[0]) })
	}
	return c
}

// about gives a command about nodes the flag of their cluster.
func (k *keys) about(c *cobra.Command) {
	c.ValidArgsFunction = cobra.NoFileCompletions
	c.Flags().StringVar(&k.cluster, "cluster", "local", "name of the node's cluster")
}

func (k *keys) issue() *cobra.Command {
	var leaf bool
	c := &cobra.Command{
		Use: "issue NODE...", Short: "Make nodes' first keys", Args: cobra.MinimumNArgs(1),
		Long:    "Make the first key of each of these nodes, or a new one after all of them were revoked.",
		Example: "  riposte nodes issue node-1.example node-2.example --cluster prod\n  kubectl get nodes -o name | sed s,node/,, | xargs riposte nodes issue --cluster prod",
		RunE: func(cmd *cobra.Command, nodes []string) error {
			return k.with(func(r *Registry) error {
				made, err := r.Issue(k.cluster, leaf, nodes...)
				if err != nil {
					return err
				}
				for i, node := range nodes {
					if err := k.tell(cmd.OutOrStdout(), r, node, made[i]); err != nil {
						return err
					}
				}
				return k.next(cmd.OutOrStdout(), r)
			})
		},
	}
	k.about(c)
	c.Flags().BoolVar(&leaf, "leaf", false, "they are no nodes but NATS leaf servers, each for all nodes of the cluster")
	return c
}

func (k *keys) rotate() *cobra.Command {
	var drop bool
	c := k.change(&cobra.Command{
		Use: "rotate NODE", Short: "Make a node's next key, or end its old ones",
		Long:    "Make a node's next key beside the one that it has. When the agent runs with the\nnew seed, --drop-old ends the old one.",
		Example: "  riposte nodes rotate node-1.example --cluster prod\n  riposte nodes rotate node-1.example --cluster prod --drop-old",
	}, func(w io.Writer, r *Registry, node string) error {
		if drop {
			n, err := r.DropOld(k.cluster, node)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(w, "%d old keys are revoked. Now: nats-server --signal reload\n", n)
			return err
		}
		key, err := r.Rotate(k.cluster, node)
		if err != nil {
			return err
		}
		if err := k.tell(w, r, node, key); err != nil {
			return err
		}
		return k.next(w, r)
	})
	c.Flags().BoolVar(&drop, "drop-old", false, "revoke all keys but the newest")
	return c
}

func (k *keys) revoke() *cobra.Command {
	return k.change(&cobra.Command{
		Use: "revoke NODE", Short: "End all keys of a node", Example: "  riposte nodes revoke node-1.example --cluster prod",
		Long: "End all keys of a node, for instance of one that is taken out of service or that\nsomebody broke into. A server that has reloaded cuts its connection.",
	}, func(w io.Writer, r *Registry, node string) error {
		n, err := r.Revoke(k.cluster, node)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%d keys are revoked. Now: nats-server --signal reload\n", n)
		return err
	})
}

func (k *keys) list() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "list", Short: "List nodes and their keys", Args: cobra.NoArgs, Example: "  riposte nodes list\n  riposte nodes list --all",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.with(func(r *Registry) error { return show(cmd.OutOrStdout(), r.Nodes(), all) })
		},
	}
	c.Flags().BoolVar(&all, "all", false, "show revoked keys too")
	return c
}

func show(out io.Writer, all []*Node, revoked bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CLUSTER\tNODE\tKIND\tKEY\tISSUED\tREVOKED")
	for _, n := range all {
		kind := "node"
		if n.Leaf {
			kind = "leaf"
		}
		for _, k := range n.Keys {
			until := ""
			if k.Revoked != nil {
				if !revoked {
					continue
				}
				until = k.Revoked.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", n.Cluster, n.Name, kind, k.Public, k.Issued.UTC().Format(time.RFC3339), until)
		}
	}
	return w.Flush()
}

// tell says where a new key is.
func (k *keys) tell(w io.Writer, r *Registry, node string, key Key) error {
	_, err := fmt.Fprintf(w, "Key %s of node %s in cluster %s.\n  seed, for the agent's --nats-key; carry it there and delete it here: %s\n",
		key.Public, node, k.cluster, r.SeedFile(k.cluster, node))
	return err
}

// next says what is to be done after new keys.
func (k *keys) next(w io.Writer, r *Registry) error {
	_, err := fmt.Fprintf(w, "Users, for nats-server.conf to include: %s\nNow: nats-server --signal reload\n", r.UsersFile())
	return err
}
