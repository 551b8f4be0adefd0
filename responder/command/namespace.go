package command

import (
	"errors"

	"github.com/spf13/cobra"
)

// namespaceFlags choose a namespace as kubectl's do: the flag's, or else the context's.
type namespaceFlags struct {
	namespace string
	all       bool
}

func (n *namespaceFlags) flags(c *cobra.Command, says string) {
	c.Flags().StringVarP(&n.namespace, "namespace", "n", "", says+" (default: the context's)")
	c.Flags().BoolVarP(&n.all, "all-namespaces", "A", false, "in every namespace, whatever the context says")
	c.MarkFlagsMutuallyExclusive("namespace", "all-namespaces")
}

// of is the namespace that is meant, empty for all.
func (n *namespaceFlags) of(cmd *cobra.Command) (string, error) {
	if n.all || n.namespace != "" {
		return n.namespace, nil
	}
	t, err := targetOf(cmd)
	var c coded
	if errors.As(err, &c) && c.code == exitUnreachable {
		return "", nil // the connection says it better
	}
	return t.Namespace, err
}
