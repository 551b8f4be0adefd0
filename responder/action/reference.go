package action

import (
	"fmt"
	"io"
	"strings"
)

const referenceIntro = `# Actions

What a playbook can propose. This page is made from the actions themselves; ` + "`make generate`" + ` writes it anew.

An action names its target by identity: a Kubernetes object by its UID, a container by id, cgroup and start. What is gone, or has been replaced
by another of its name, is left alone, and the record says so. After a crash an action finds out what its first attempt did, and does nothing twice.

- **Preview** says what would change, and changes nothing: a diff, as the API server's own dry run makes it.
- **Undo** brings back what was, when the time of the action is over or a person asks. What somebody else has changed since stays as they made it.
- **Stage** orders the actions of one decision: those that gather evidence end before those that destroy begin; of the others nothing waits.
- What only tells, gathers or notes something is done once for each incident, playbook and target; everything else once, until it is lifted.
- **Concerns a whole node** means that two people must agree.
- **Permissions** are what the responder's service account needs in the cluster, exactly. The rules for all of them stand at the end.

Changes are made under the field manager ` + "`riposte`" + `. What an action replaced is noted in an annotation ` + "`riposte.dev/<type>`" + ` on the object.

## Webhooks

` + "`webhook` and `notify`" + ` post only to places of the responder's configuration (` + "`--webhooks FILE`" + `), never to an address of a playbook:

` + "```yaml" + `
tickets:
  url: https://tickets.example/riposte
  secret_file: /etc/riposte/tickets.secret   # at least 16 bytes, shared with the receiver
` + "```" + `

Each delivery is a POST of JSON. ` + "`Riposte-Delivery`" + ` is the action's id, the same when a delivery is repeated. ` + "`Riposte-Signature`" + ` is ` + "`sha256=`" + ` and the
hexadecimal HMAC-SHA-256, under the secret, of ` + "`Riposte-Timestamp`" + `, a full stop and the body. Redirects are not followed.

`

// WriteReference writes the reference page of the actions, in the given order.
func WriteReference(w io.Writer, actions ...Action) error {
	var b strings.Builder
	b.WriteString(referenceIntro)
	b.WriteString("| type | target | stage | preview | undo | what it does |\n| --- | --- | --- | --- | --- | --- |\n")
	var specs []Spec
	for _, a := range actions {
		s := a.Spec()
		specs = append(specs, s)
		_, preview := a.(Previewer)
		_, undo := a.(Undoer)
		fmt.Fprintf(&b, "| [`%s`](#%[1]s) | %s | %s | %s | %s | %s |\n", s.Type, strings.Join(s.Kinds(), ", "), s.Stage, mark(preview), mark(undo), firstSentence(s.Summary))
	}
	for _, s := range specs {
		writeSpec(&b, s)
	}
	if err := writeRules(&b, specs); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeSpec(b *strings.Builder, s Spec) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", s.Type, s.Summary)
	if s.NodeWide {
		b.WriteString("Concerns a whole node.\n\n")
	}
	if len(s.Params) > 0 {
		b.WriteString("| param | type | default | meaning |\n| --- | --- | --- | --- |\n")
		for _, p := range s.Params {
			value := p.Default
			if p.Required {
				value = "**needed**"
			}
			fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", p.Name, p.Type, value, strings.ReplaceAll(p.Desc, "|", "\\|"))
		}
		fmt.Fprintf(b, "\nExample: `%s`\n\n", s.Example)
	}
	if len(s.Permissions) == 0 {
		b.WriteString("Needs no permission in the cluster.\n")
		return
	}
	fmt.Fprintf(b, "Permissions: %s.\n", strings.Join(s.Permissions, ", "))
}

func writeRules(b *strings.Builder, specs []Spec) error {
	rules, err := Rules(specs...)
	if err != nil {
		return err
	}
	b.WriteString("\n## All permissions\n\nThe rules of a ClusterRole for every action on this page. Leave out what you do not want Riposte to do: the action then fails and says\nwhich permission it lacks. Beside these the responder lists and watches pods, and gets\nnodes, namespaces and the pods' controllers.\n\n```yaml\nrules:\n")
	for _, r := range rules {
		fmt.Fprintf(b, "  - apiGroups: [%q]\n    resources: [%s]\n    verbs: [%s]\n", r.Group, strings.Join(r.Resources, ", "), strings.Join(r.Verbs, ", "))
	}
	b.WriteString("```\n")
	return nil
}

func mark(yes bool) string {
	if yes {
		return "yes"
	}
	return ""
}

func firstSentence(s string) string {
	if i := strings.Index(s, ". "); i >= 0 {
		return s[:i+1]
	}
	return s
}

// String is contain, gather or destroy.
func (s Stage) String() string {
	switch s {
	case Gather:
		return "gather"
	case Destroy:
		return "destroy"
	}
	return "contain"
}
