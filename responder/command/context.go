package command

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"riposte/responder/api/client"
)

// NewContext is the command "context".
func NewContext() *cobra.Command {
	c := &cobra.Command{
		Use: "context", Short: "Choose which Riposte the commands ask", Args: cobra.NoArgs, RunE: help,
		Long: `Choose which Riposte the commands ask. A context has a name, the address of the API,
and the file with the token. They stand in $XDG_CONFIG_HOME/riposte/config.yaml
(~/.config/riposte/config.yaml), which must be readable for you alone. On the machine
of "riposte up" none is needed.`,
		Example: `  riposte context add prod --server https://riposte.example.com --token-file ~/.config/riposte/prod.token
  riposte context use prod
  riposte --help
  riposte status --context prod`,
	}
	c.AddCommand(newContextList(), newContextUse(), newContextAdd(), newContextRemove(), newContextShow())
	return c
}

// changeContexts changes the configuration.
func changeContexts(change func(*contextFile) error) error {
	path, err := contextPath()
	if err != nil {
		return err
	}
	f, err := readContexts(path)
	if err != nil {
		return err
	}
	if err := change(&f); err != nil {
		return err
	}
	return f.write(path)
}

func loadContexts() (contextFile, error) {
	path, err := contextPath()
	if err != nil {
		return contextFile{}, err
	}
	return readContexts(path)
}

// contextRow is a context as the lists show it.
type contextRow struct {
	serverContext
	Current bool `json:"current"`
}

func newContextList() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "list", Short: "List the contexts", Args: cobra.NoArgs, Example: "  riposte context list\n  riposte context list -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			f, err := loadContexts()
			if err != nil {
				return err
			}
			rows := make([]contextRow, len(f.Contexts))
			for i, c := range f.Contexts {
				rows[i] = contextRow{c, c.Name == f.Current}
			}
			return list(&p, []string{"CURRENT", "NAME", "SERVER", "NAMESPACE", "TOKEN FILE"}, rows, func(c contextRow) []string {
				mark := ""
				if c.Current {
					mark = "*"
				}
				return []string{mark, c.Name, c.Server, dash(c.Namespace), c.TokenFile}
			})
		},
	}
	printerFlags(c, &p)
	return c
}

func newContextUse() *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Ask this one from now on", Args: cobra.ExactArgs(1), ValidArgsFunction: once(completeContexts),
		Example: "  riposte context use prod",
		RunE: func(cmd *cobra.Command, args []string) error {
			err := changeContexts(func(f *contextFile) error {
				c, err := f.find(args[0])
				f.Current = c.Name
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "The context is %s.\n", args[0])
			return err
		},
	}
}

func newContextAdd() *cobra.Command {
	var n serverContext
	var use bool
	c := &cobra.Command{
		Use: "add NAME", Short: "Add a context, or change one", Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Add a context, or replace the one of this name. The first one is the current at once.\n" +
			"The token itself is in a file, which is not copied: a flag would be for everybody to see.",
		Example: "  riposte context add prod --server https://riposte.example.com --token-file ~/.config/riposte/prod.token\n" +
			"  riposte context add staging --server https://riposte.staging:7411 --ca ca.pem --token-file staging.token --namespace shop --use",
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Name = args[0]
			if !contextName.MatchString(n.Name) {
				return badFlag(fmt.Errorf("NAME: %q is no name of letters, digits, dots and dashes", n.Name))
			}
			for _, file := range []*string{&n.TokenFile, &n.CA, &n.Cert, &n.Key} {
				if *file == "" {
					continue
				}
				var err error
				if *file, err = filepath.Abs(*file); err != nil {
					return err
				}
			}
			if err := n.try(); err != nil {
				return err
			}
			if plainAndFar(n.Server) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s is not encrypted: who is on the way can read the token. Use https://.\n", visible(n.Server))
			}
			current := ""
			err := changeContexts(func(f *contextFile) error {
				if i := f.index(n.Name); i >= 0 {
					f.Contexts[i] = n
				} else {
					f.Contexts = append(f.Contexts, n)
				}
				if use || f.Current == "" {
					f.Current = n.Name
				}
				current = f.Current
				return nil
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Context %s is %s. The current one is %s.\n", n.Name, visible(n.Server), current)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&n.Server, "server", "", "address of the API, such as https://riposte.example.com")
	f.StringVar(&n.TokenFile, "token-file", "", "file with the API's token")
	f.StringVar(&n.CA, "ca", "", "authority of the server's certificate (PEM; default: the system's)")
	f.StringVar(&n.Cert, "cert", "", "certificate to show to the server (PEM)")
	f.StringVar(&n.Key, "key", "", "its key (PEM)")
	f.StringVar(&n.Namespace, "namespace", "", "namespace that lists show, unless -n or -A says something else")
	f.BoolVar(&use, "use", false, "make it the current one")
	for _, name := range []string{"token-file", "ca", "cert", "key"} {
		must(c.MarkFlagFilename(name))
	}
	must(c.MarkFlagRequired("server"))
	must(c.MarkFlagRequired("token-file"))
	c.MarkFlagsRequiredTogether("cert", "key")
	return c
}

// try reads all that a context names, so that a mistake shows before it is used.
func (c serverContext) try() error {
	token, err := readToken(c.TokenFile)
	if err != nil {
		return err
	}
	made, err := c.client(token)
	if err == nil {
		made.Close()
	}
	return err
}

func (c serverContext) client(token string) (*client.Client, error) {
	return client.NewTLS(c.Server, token, client.TLS{CA: c.CA, Cert: c.Cert, Key: c.Key})
}

// plainAndFar says that a token would cross a network for everybody to read.
func plainAndFar(server string) bool {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" || u.Hostname() == "localhost" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip == nil || !ip.IsLoopback()
}

func newContextRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Forget a context", Args: cobra.ExactArgs(1), ValidArgsFunction: once(completeContexts),
		Long:    "Forget a context. The files that it names stay.",
		Example: "  riposte context remove staging",
		RunE: func(cmd *cobra.Command, args []string) error {
			err := changeContexts(func(f *contextFile) error {
				if _, err := f.find(args[0]); err != nil {
					return err
				}
				i := f.index(args[0])
				f.Contexts = slices.Delete(f.Contexts, i, i+1)
				if f.Current == args[0] {
					f.Current = ""
				}
				return nil
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Context %s is forgotten.\n", args[0])
			return err
		},
	}
}

func newContextShow() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "show [NAME]", Short: "Show a context, or which Riposte is asked now", Args: cobra.MaximumNArgs(1), ValidArgsFunction: once(completeContexts),
		Long:    "Show a context. Without a name: the Riposte that a command would ask now, and why that one.",
		Example: "  riposte context show\n  riposte context show prod -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			var t target
			if len(args) > 0 {
				f, err := loadContexts()
				if err != nil {
					return err
				}
				c, err := f.find(args[0])
				if err != nil {
					return err
				}
				t = target{c, "its name"}
			} else {
				var err error
				if t, err = targetOf(cmd); err != nil {
					return err
				}
			}
			if !p.text() {
				return p.value(t.serverContext)
			}
			p.widths = []int{10, 0}
			return p.rows([][]string{
				{"Context", dash(t.Name)},
				{"Chosen by", t.why},
				{"Server", t.Server},
				{"Token file", t.TokenFile},
				{"CA", dash(t.CA)},
				{"Namespace", dash(t.Namespace)},
			})
		},
	}
	printerFlags(c, &p)
	ConnectFlags(c)
	return c
}
