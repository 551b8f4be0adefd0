package action

import (
	"fmt"
	"io"
	"strings"
)

// WriteChartPermissions writes, as YAML for the Helm chart, the rules that the
// responder needs anyway and those of each action that needs any.
func WriteChartPermissions(w io.Writer, base []string, actions ...Action) error {
	var b strings.Builder
	b.WriteString("# Made by \"make generate\" from what the actions declare. Do not edit.\nbase:\n")
	if err := writeChartRules(&b, "  ", Spec{Type: "base", Permissions: base}); err != nil {
		return err
	}
	b.WriteString("actions:\n")
	for _, a := range actions {
		s := a.Spec()
		if len(s.Permissions) == 0 {
			continue
		}
		fmt.Fprintf(&b, "  %s:\n", s.Type)
		if err := writeChartRules(&b, "    ", s); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeChartRules(b *strings.Builder, indent string, s Spec) error {
	rules, err := Rules(s)
	if err != nil {
		return err
	}
	for _, r := range rules {
		fmt.Fprintf(b, "%[1]s- apiGroups: [%[2]q]\n%[1]s  resources: [%[3]s]\n%[1]s  verbs: [%[4]s]\n", indent, r.Group, strings.Join(r.Resources, ", "), strings.Join(r.Verbs, ", "))
	}
	return nil
}
