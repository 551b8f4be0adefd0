// Package scaffold writes the first version of a playbook and its test.
package scaffold

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"riposte/agent/alert"
	"riposte/responder/action"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// Files are what a new playbook begins with. Fixture is nil without an alert.
type Files struct {
	Playbook, Test, Fixture []byte
	// Action is what it proposes.
	Action string
}

// Options say what to begin with. Action may be empty: then it is what fits the alert,
// or delete_pod.
type Options struct {
	Name   string
	Owner  string
	Action string
	// Input is what the playbooks saw of the alert to begin with; nil for none.
	Input json.RawMessage
}

// plan is what the templates are given.
type plan struct {
	Options
	Target  string // the name in riposte.lib.target
	Kind    string
	Params  string
	Trigger string
	// Without is the path in the input without which nothing is proposed.
	Without string
	Fixture bool
	// Sample is the literal of an input for a test without a fixture.
	Sample string
}

// targets are the targets of riposte.lib.target by kind, what they need of the input,
// and a least input that has it.
var targets = []struct{ kind, name, without, sample string }{
	{action.KindPod, "pod", "/pod", `"binding": "bound", "pod": {"namespace": "shop", "name": "web-0", "uid": "7d0c", "node": "n1"}`},
	{action.KindContainer, "container", "/alert/riposte/container", `"binding": "none"`},
	{action.KindProcess, "process", "/alert/riposte/process", `"binding": "none"`},
	{action.KindWorkload, "workload", "/workload", `"binding": "bound", "workload": {"resource": "apps/v1/deployments", "namespace": "shop", "name": "web", "uid": "4711"}`},
	{action.KindNode, "node", "/node/uid", `"node": {"name": "n1", "uid": "4711"}`},
}

// New makes the files of a playbook. Its errors are about the options.
func New(o Options, actions action.Registry) (Files, error) {
	if !playbook.NameFits(o.Name) {
		return Files{}, fmt.Errorf("%q cannot be a playbook's name: use lower-case letters, digits and _, a letter first, 63 at most", o.Name)
	}
	p := plan{Options: o, Trigger: "{tags: [cryptomining]}"}
	if o.Owner == "" {
		p.Owner = "say who answers for it"
	}
	p.Owner = quoted(p.Owner)
	var in *playbook.Recorded
	if o.Input != nil {
		var err error
		if in, err = playbook.ReadRecorded(o.Input); err != nil {
			return Files{}, err
		}
		p.Fixture = true
		p.Trigger = fmt.Sprintf("{rules: [%s]}", quoted(in.Input.Alert.Rule))
	}
	if err := p.choose(in, actions); err != nil {
		return Files{}, err
	}
	var out Files
	var err error
	if out.Playbook, err = write(bookTemplate, p, o.Name+".rego"); err != nil {
		return out, err
	}
	if out.Test, err = write(testTemplate, p, o.Name+"_test.rego"); err != nil {
		return out, err
	}
	if p.Fixture {
		var b bytes.Buffer
		if err := json.Indent(&b, o.Input, "", "  "); err != nil {
			return out, err
		}
		b.WriteByte('\n')
		out.Fixture = b.Bytes()
	}
	out.Action = p.Action
	return out, nil
}

// choose finds an action and its target that fit the alert.
func (p *plan) choose(in *playbook.Recorded, actions action.Registry) error {
	if p.Action == "" {
		p.Action = "delete_pod"
		if in != nil {
			p.Action = fitting(in.Input)
		}
	}
	if p.Action == "" {
		return fmt.Errorf("the alert %q names neither a pod nor a container or process: there is nothing to act on", in.Input.Alert.Rule)
	}
	a, known := actions[p.Action]
	if !known {
		return fmt.Errorf("no action is called %q. %s", p.Action, sandbox.Suggest(p.Action, names(actions)))
	}
	spec := a.Spec()
	for _, t := range targets {
		if slices.Contains(spec.Kinds(), t.kind) && (in == nil || has(in.Input, t.kind)) {
			p.Kind, p.Target, p.Without, p.Sample = t.kind, t.name, t.without, t.sample
			break
		}
	}
	if p.Target == "" {
		return fmt.Errorf("%s acts on a %s, of which there is none here", p.Action, strings.Join(spec.Kinds(), " or "))
	}
	if slices.ContainsFunc(spec.Params, func(q action.Param) bool { return q.Required }) {
		p.Params = spec.Example
	}
	p.Sample += p.sampleAlert()
	return nil
}

// sampleAlert is the alert of a sample that needs one.
func (p *plan) sampleAlert() string {
	part := map[string]string{
		action.KindContainer: `"container": {"id": "abc", "cgroup_id": 42, "start_ns": 7}`,
		action.KindProcess:   `"process": {"pid": 42, "start_ns": 7}`,
	}[p.Kind]
	if part == "" {
		return `, "alert": {"rule": "A miner", "priority": "Critical"}`
	}
	return `, "alert": {"rule": "A miner", "priority": "Critical", "riposte": {` + part + `}}`
}

// fitting is the mildest action that ends what the alert is about.
func fitting(in playbook.Input) string {
	switch {
	case has(in, action.KindPod):
		return "delete_pod"
	case has(in, action.KindContainer):
		return "kill_container"
	case has(in, action.KindProcess):
		return "kill_process"
	}
	return ""
}

// has says whether riposte.lib.target has a target of that kind for an input.
func has(in playbook.Input, kind string) bool {
	r := in.Alert.Riposte
	if r == nil {
		r = &alert.Riposte{}
	}
	switch kind {
	case action.KindPod:
		return in.Binding == playbook.Bound && in.Pod != nil
	case action.KindWorkload:
		return in.Binding == playbook.Bound && in.Workload != nil
	case action.KindContainer:
		return r.Container != nil
	case action.KindProcess:
		return r.Process != nil
	case action.KindNode:
		return in.Node.UID != ""
	}
	return false
}

func names(actions action.Registry) []string {
	var out []string
	for name := range actions {
		out = append(out, name)
	}
	return out
}

// quoted is a text as YAML and Rego both have it in quotes.
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // not for a string
	}
	return string(b)
}

func write(t *template.Template, p plan, file string) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, err
	}
	return sandbox.Format(file, b.Bytes())
}

var bookTemplate = template.Must(template.New("playbook").Parse(`# METADATA
# scope: package
# title: {{.Name}}
# description: >-
#  Say here what it does, and why that is right.
# custom:
#   owner: {{.Owner}}
#   trigger: {{.Trigger}}
#   mode: observe
#   severity: high
package playbooks.{{.Name}}

import data.riposte.lib.alert
import data.riposte.lib.target

action contains {
	"type": "{{.Action}}",
	"target": target.{{.Target}},
{{- if .Params}}
	"params": {{.Params}},
{{- end}}
	"reason": alert.reason,
}
`))

var testTemplate = template.Must(template.New("test").Parse(`package playbooks.{{.Name}}_test

import data.playbooks.{{.Name}} as playbook

{{if .Fixture -}}
_input := data.fixtures["{{.Name}}"]
{{- else -}}
_input := { {{- .Sample -}} }
{{- end}}

test_proposes_{{.Action}} if {
	some action in playbook.action with input as _input
	action.type == "{{.Action}}"
	action.target.kind == "{{.Kind}}"
}

test_leaves_it_alone_without_the_{{.Target}} if {
	without := json.remove(_input, ["{{.Without}}"])
	count(playbook.action) == 0 with input as without
}
`))
