package playbook

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"riposte/responder/action"
	"riposte/responder/playbook/sandbox"
)

// actionKeys are the keys of a proposal; those that must be there stand first.
var actionKeys = []string{"type", "target", "reason", "params", "ttl", "requires_approval"}

// neededKeys is how many of actionKeys must be there.
const neededKeys = 3

// CheckActions checks the actions that playbooks write out, as far as they can be
// told without evaluating them: keys, type, the target's kind, and the names and
// constant values of the params. The guard's and the libraries' files are left out.
func CheckActions(actions action.Registry, sources ...sandbox.Source) error {
	t, _ := arrange(withEmbedded(sources)) // what cannot be read is Check's to tell
	own := names(sources)
	var errs sandbox.Errors
	for _, name := range slices.Sorted(maps.Keys(t.playbooks)) {
		for _, f := range t.playbooks[name] {
			if f.Module == nil || !slices.Contains(own, f.Source) {
				continue // data.json has no rules
			}
			l := literals{actions: actions, kinds: targetKinds(f, t.libs)}
			for _, r := range f.Module.Rules {
				l.rule(r)
			}
			errs = append(errs, l.errs...)
		}
	}
	return errs.Err()
}

// literals checks the objects of one file.
type literals struct {
	actions action.Registry
	// kinds are the kinds of the targets that the file's references mean, by how they
	// are written there.
	kinds map[string]string
	errs  sandbox.Errors
}

func (l *literals) errorf(t *ast.Term, format string, args ...any) {
	l.errs = append(l.errs, sandbox.At(t.Location, format, args...))
}

// rule looks at the rules that define action: at the object in the head, or at that
// which the head's variable stands for.
func (l *literals) rule(r *ast.Rule) {
	if r.Head.Ref()[0].String() != "action" || r.Head.Key == nil {
		return
	}
	switch v := r.Head.Key.Value.(type) {
	case ast.Object:
		l.action(r.Head.Key, v)
	case ast.Var:
		for _, e := range r.Body {
			if !e.IsAssignment() && !e.IsEquality() || len(e.Operands()) != 2 || e.Operand(0).Value.Compare(v) != 0 {
				continue
			}
			if obj, ok := e.Operand(1).Value.(ast.Object); ok {
				l.action(e.Operand(1), obj)
			}
		}
	}
}

func (l *literals) action(t *ast.Term, obj ast.Object) {
	for _, k := range obj.Keys() {
		name, ok := k.Value.(ast.String)
		if !ok {
			return // made of a variable: only the evaluation can tell
		}
		if !slices.Contains(actionKeys, string(name)) {
			l.errorf(k, "an action has no key %s: use %s%s", k, strings.Join(actionKeys, ", "), hint(string(name), actionKeys))
		}
	}
	for _, key := range actionKeys[:neededKeys] {
		if value(obj, key) == nil {
			l.errorf(t, "the action has no %s", key)
		}
	}
	kind, ok := constant(obj, "type")
	if !ok {
		return
	}
	a, known := l.actions[kind]
	if !known {
		all := slices.Sorted(maps.Keys(l.actions))
		which := hint(kind, all)
		if which == "" {
			which = ": there are " + strings.Join(all, ", ")
		}
		l.errorf(value(obj, "type"), "no action is called %q%s", kind, which)
		return
	}
	spec := a.Spec()
	l.target(spec, value(obj, "target"))
	l.params(spec, t, value(obj, "params"))
	if ttl := value(obj, "ttl"); ttl != nil && !l.actions.Undoable(kind) {
		l.errorf(ttl, "%s cannot be undone: leave ttl out", kind)
	}
}

func (l *literals) target(spec action.Spec, t *ast.Term) {
	if t == nil {
		return
	}
	kind := l.kinds[t.String()]
	if obj, ok := t.Value.(ast.Object); ok {
		kind, _ = constant(obj, "kind")
	}
	if kind != "" && !slices.Contains(spec.Kinds(), kind) {
		l.errorf(t, "%s acts on a %s, not on a %s", spec.Type, strings.Join(spec.Kinds(), " or "), kind)
	}
}

func (l *literals) params(spec action.Spec, at, t *ast.Term) {
	var obj ast.Object
	if t != nil {
		var ok bool
		if obj, ok = t.Value.(ast.Object); !ok {
			return
		}
		for _, k := range obj.Keys() {
			name, ok := k.Value.(ast.String)
			if !ok {
				return
			}
			l.param(spec, k, string(name), obj.Get(k))
		}
		at = t
	}
	for _, p := range spec.Params {
		if p.Required && (obj == nil || value(obj, p.Name) == nil) {
			l.errorf(at, "%s needs the param %s: %s", spec.Type, p.Name, p.Desc)
		}
	}
}

func (l *literals) param(spec action.Spec, key *ast.Term, name string, v *ast.Term) {
	p := spec.ParamNamed(name)
	if p == nil {
		var known []string
		for _, p := range spec.Params {
			known = append(known, p.Name)
		}
		has := "it has none"
		if len(known) > 0 {
			has = "it has " + strings.Join(known, ", ")
		}
		l.errorf(key, "%s has no param %q%s: %s", spec.Type, name, hint(name, known), has)
		return
	}
	if !v.IsGround() || refers(v) {
		return
	}
	raw, err := encodeTerm(v.Value)
	if err == nil {
		err = p.CheckValue(raw)
	}
	if err != nil {
		l.errorf(v, "params.%s of %s %v", name, spec.Type, err)
	}
}

// refers says whether a term stands for something else than itself.
func refers(t *ast.Term) bool {
	found := false
	ast.WalkTerms(t, func(x *ast.Term) bool {
		switch x.Value.(type) {
		case ast.Ref, ast.Call, ast.Var, *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.TemplateString:
			found = true
		}
		return found
	})
	return found
}

func value(obj ast.Object, key string) *ast.Term { return obj.Get(ast.StringTerm(key)) }

func constant(obj ast.Object, key string) (string, bool) {
	if t := value(obj, key); t != nil {
		s, ok := t.Value.(ast.String)
		return string(s), ok
	}
	return "", false
}

func hint(name string, known []string) string {
	if h := sandbox.Suggest(name, known); h != "" {
		return " (" + h + ")"
	}
	return ""
}

// targetKinds are the kinds of the libraries' targets, by how a file refers to them:
// target.pod, or data.riposte.lib.target.pod.
func targetKinds(f *sandbox.File, libs []*sandbox.File) map[string]string {
	aliases := map[string]string{}
	for _, i := range f.Module.Imports {
		aliases[i.Path.String()] = string(i.Name())
	}
	out := map[string]string{}
	for _, lib := range libs {
		if lib.Module == nil {
			continue
		}
		for _, r := range lib.Module.Rules {
			obj, ok := ruleObject(r)
			if !ok {
				continue
			}
			kind, ok := constant(obj, "kind")
			if !ok {
				continue
			}
			pkg, name := lib.Module.Package.Path.String(), r.Head.Name.String()
			out[fmt.Sprintf("%s.%s", pkg, name)] = kind
			if alias := aliases[pkg]; alias != "" {
				out[fmt.Sprintf("%s.%s", alias, name)] = kind
			}
			if alias := aliases[pkg+"."+name]; alias != "" {
				out[alias] = kind
			}
		}
	}
	return out
}

func ruleObject(r *ast.Rule) (ast.Object, bool) {
	if r.Head.Value == nil {
		return nil, false
	}
	obj, ok := r.Head.Value.Value.(ast.Object)
	return obj, ok
}
