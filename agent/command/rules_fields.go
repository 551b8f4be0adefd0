package command

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"riposte/agent/rules/field"
)

func newRulesFields() *cobra.Command {
	var output []string
	var class, source string
	var captured bool
	cmd := &cobra.Command{
		Use:   "fields",
		Short: "List the fields that a condition or an output can name",
		Long: `List the fields that a condition or an output can name.

Every field of Falco is known, so that any rule file loads. One that is not
captured has no value: a check of it is false, and outputs show <NA>.`,
		Example: `  riposte rules fields --class fd
  riposte rules fields --captured -o json`,
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, err := outputFormat(output, "table", "json", "markdown")
			if err != nil {
				return err
			}
			if format == "markdown" {
				return field.WriteReference(cmd.OutOrStdout())
			}
			list, err := pickFields(class, source, captured)
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), list)
			}
			return fieldTable(cmd.OutOrStdout(), list)
		},
	}
	addOutputFlag(cmd, &output, "table", "json", "markdown")
	f := cmd.Flags()
	f.StringVar(&class, "class", "", "only the fields of one class, such as evt, process, fd or container")
	f.StringVar(&source, "source", "", "only the fields of one source: syscall or k8s_audit")
	f.BoolVar(&captured, "captured", false, "only the fields that are captured")
	return cmd
}

// listedField is one field as "rules fields -o json" prints it.
type listedField struct {
	Name     string   `json:"name"`
	Class    string   `json:"class"`
	Source   string   `json:"source,omitempty"`
	Type     string   `json:"type"`
	Argument string   `json:"argument"`
	Scope    string   `json:"scope"`
	Captured bool     `json:"captured"`
	Tags     []string `json:"tags"`
	Desc     string   `json:"description"`
}

func pickFields(class, source string, captured bool) ([]listedField, error) {
	list := []listedField{}
	var classes []string
	known := class == ""
	for _, c := range field.Classes() {
		classes = append(classes, c.Name)
		if class != "" && c.Name != class || source != "" && c.Source != "" && c.Source != source {
			known = known || c.Name == class
			continue
		}
		known = true
		for _, f := range c.Fields {
			if captured && !f.Captured() {
				continue
			}
			list = append(list, listedField{
				Name: f.Name, Class: c.Name, Source: c.Source, Type: f.Type.String(), Argument: f.Arg.String(), Scope: f.Scope.String(),
				Captured: f.Captured(), Tags: f.Tags(), Desc: f.Desc,
			})
		}
	}
	if !known {
		return nil, fmt.Errorf("unknown class %q: use one of %s", class, strings.Join(classes, ", "))
	}
	if source != "" && source != "syscall" && source != "k8s_audit" {
		return nil, errors.New("unknown source: use syscall or k8s_audit")
	}
	return list, nil
}

func fieldTable(out io.Writer, list []listedField) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FIELD\tTYPE\tSCOPE\tCAPTURED\tDESCRIPTION")
	for _, f := range list {
		name, has := f.Name, "no"
		switch f.Argument {
		case "required":
			name += "[x]"
		case "optional":
			name += "[[x]]"
		}
		if f.Captured {
			has = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", name, f.Type, f.Scope, has, f.Desc)
	}
	return w.Flush()
}
