package command

import (
	"github.com/spf13/cobra"

	"riposte/responder/selector"
)

// selectorFlag is kubectl's -l; what cannot be read is a wrong flag.
func selectorFlag(c *cobra.Command, into *selector.Selector, says string) {
	c.Flags().VarP(selectorValue{into}, "selector", "l", says+", such as app=cart,tier!=web,'env in (dev, test)',!canary")
}

type selectorValue struct{ *selector.Selector }

func (selectorValue) Type() string { return "selector" }

func (v selectorValue) Set(text string) (err error) {
	*v.Selector, err = selector.Parse(text)
	return err
}
