package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"riposte/agent/alert"
	"riposte/playbooks"
	"riposte/responder/action"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// guardPackage is the package of our own rules; more go into packages below it.
const guardPackage = "riposte.guard"

// Bounds of what a Rego rule says, in bytes.
const (
	maxRule   = 64
	maxReason = 1000
)

// policy is one Rego package of the guard.
type policy struct {
	name  string
	query *sandbox.Query
}

// input is what guard rules see; playbooks/schemas/guard.json describes it.
type input struct {
	Type             string           `json:"type"`
	Target           action.Target    `json:"target"`
	Playbook         string           `json:"playbook"`
	Mode             playbook.Mode    `json:"mode"`
	RequiresApproval bool             `json:"requires_approval"`
	Alert            *alert.Alert     `json:"alert"`
	Binding          playbook.Binding `json:"binding"`
	Pod              *playbook.Pod    `json:"pod,omitempty"`
}

// loadRego compiles our own guard rules and those of more sources, each package
// by itself and with the libraries that come with Riposte: none can change what
// another one says.
func loadRego(sources []sandbox.Source) (*[]policy, []sandbox.Part, error) {
	b, err := playbooks.Schema("guard")
	if err != nil {
		return nil, nil, err
	}
	schema, err := sandbox.NewSchema(b)
	if err != nil {
		return nil, nil, err
	}
	packages, shared, errs := guardFiles(sources)
	var (
		out   []policy
		parts []sandbox.Part
	)
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		files := packages[name]
		compiled, err := sandbox.Compile(slices.Concat(files, shared), schema)
		if err != nil {
			errs = errs.Append(err)
			continue
		}
		q, err := compiled.Query(context.Background(), "data."+name+".refuse")
		if err != nil {
			errs = errs.Append(err)
			continue
		}
		revision, err := compiled.Revision(name)
		errs = errs.Append(err)
		out = append(out, policy{name: name, query: q})
		parts = append(parts, sandbox.Part{Name: name, Source: files[0].Source, Revision: revision})
	}
	if len(errs) > 0 {
		return nil, nil, errs.Unique()
	}
	return &out, parts, nil
}

// guardFiles sorts files by package; shared are the libraries that come with Riposte, and
// the sources' data.
func guardFiles(sources []sandbox.Source) (packages map[string][]*sandbox.File, shared []*sandbox.File, errs sandbox.Errors) {
	packages = map[string][]*sandbox.File{}
	ours, err := sandbox.Read(playbook.Embedded())
	errs = errs.Append(err)
	for _, f := range ours {
		switch {
		case f.Test:
		case f.Package == guardPackage:
			packages[f.Package] = append(packages[f.Package], f)
		case strings.HasPrefix(f.Package, "riposte.lib."):
			shared = append(shared, f)
		}
	}
	for _, src := range sources {
		files, err := sandbox.Read(src)
		errs = errs.Append(err)
		for _, f := range files {
			switch {
			case f.Data != nil:
				errs = append(errs, playbook.CheckData(f)...)
				shared = append(shared, f)
			case f.Test:
			case strings.HasPrefix(f.Package, guardPackage+"."):
				packages[f.Package] = append(packages[f.Package], f)
			default:
				errs = append(errs, sandbox.At(f.Module.Package.Location, "package %s: a guard rule of yours belongs in package riposte.guard.<name>", f.Package))
			}
		}
	}
	for _, files := range packages {
		if !slices.ContainsFunc(files, refuses) {
			errs = append(errs, sandbox.At(files[0].Module.Package.Location, "there is no rule `refuse contains {\"rule\": ..., \"reason\": ...} if ...`"))
		}
	}
	return packages, shared, errs
}

func refuses(f *sandbox.File) bool {
	return slices.ContainsFunc(f.Module.Rules, func(r *ast.Rule) bool {
		return r.Head.Ref()[0].String() == "refuse" && r.Head.Key != nil && r.Head.Value == nil
	})
}

// policies asks every Rego package. One that fails, runs out of time or answers
// in a wrong shape refuses: a guard that cannot say no must not mean yes.
func policies(ctx context.Context, g *Guard, q *Question) Verdict {
	value, err := encode(q)
	if err != nil {
		return refuse(RulePolicyError, "the guard's input cannot be written: %v", err)
	}
	for _, p := range *g.rego.Value() {
		answer, err := p.query.Eval(ctx, value, g.options.Now(), g.options.Deadline)
		if err == nil {
			var v Verdict
			if v, err = read(answer); err == nil {
				if v.Outcome != "" {
					return v
				}
				continue
			}
		}
		return refuse(RulePolicyError, "the guard rules of %s failed: %s", p.name, sandbox.Plain(err.Error(), maxReason))
	}
	return Verdict{}
}

func encode(q *Question) (ast.Value, error) {
	b, err := json.Marshal(input{
		Type: q.Type, Target: q.Target, Playbook: q.Playbook, Mode: q.Mode, RequiresApproval: q.RequiresApproval,
		Alert: q.Alert, Binding: q.Binding, Pod: q.Pod,
	})
	if err != nil {
		return nil, err
	}
	return ast.ValueFromReader(bytes.NewReader(b))
}

// read takes the first refusal: a set's order is fixed by what is in it.
func read(v ast.Value) (Verdict, error) {
	set, ok := v.(ast.Set)
	if !ok {
		return Verdict{}, errors.New("refuse is not a set")
	}
	if items := set.Slice(); len(items) > 0 {
		item := items[0]
		rule, reason := text(item, "rule"), text(item, "reason")
		if rule == "" || reason == "" {
			return Verdict{}, fmt.Errorf("refuse holds %s, which lacks a rule or a reason", item)
		}
		return Verdict{Outcome: Refuse, Rule: sandbox.Plain(rule, maxRule), Reason: sandbox.Plain(reason, maxReason)}, nil
	}
	return Verdict{}, nil
}

func text(item *ast.Term, key string) string {
	obj, ok := item.Value.(ast.Object)
	if !ok {
		return ""
	}
	t := obj.Get(ast.StringTerm(key))
	if t == nil {
		return ""
	}
	s, _ := t.Value.(ast.String)
	return string(s)
}
