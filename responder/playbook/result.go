package playbook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bounds of one playbook's result.
const (
	maxResult = 256 << 10
	// maxReason leaves room for a rule's name, which has 1024 bytes at most, in quotes.
	maxReason = 4096
	maxName   = 256
	maxTTL    = 30 * 24 * time.Hour
)

var typeShape = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// targetKeys are the keys that each kind of target must have, and no others.
var targetKeys = map[string][]string{
	"pod":       {"namespace", "name", "uid"},
	"container": {"container_id", "cgroup_id", "start_ns"},
	"process":   {"pid", "start_ns"},
	"node":      {"name", "uid"},
	"workload":  {"resource", "namespace", "name", "uid"},
	"object":    {"resource", "namespace", "name", "uid"},
}

// readResult checks the shape of a playbook's document and returns its exact
// JSON, without the playbook's private rules, and the proposals. A result that is
// not exactly right is an error that names the place; nothing is ever guessed.
// The JSON is returned with an error too, unless it is too large to keep.
func readResult(v ast.Value, maxActions int) (json.RawMessage, []Proposal, error) {
	if v == nil {
		return nil, nil, errors.New("the result is undefined")
	}
	doc, ok := v.(ast.Object)
	if !ok {
		return nil, nil, fmt.Errorf("the result is of type %s, not object", ast.ValueName(v))
	}
	public := ast.NewObject()
	doc.Foreach(func(k, val *ast.Term) {
		if name, _ := k.Value.(ast.String); !strings.HasPrefix(string(name), "_") {
			public.Insert(k, val)
		}
	})
	set, err := actions(public)
	if err != nil {
		return nil, nil, err
	}
	if set.Len() > maxActions {
		return nil, nil, fmt.Errorf("%d actions: a playbook may propose %d for one alert", set.Len(), maxActions)
	}
	raw, err := encodeTerm(public)
	if err != nil {
		return nil, nil, err
	}
	if len(raw) > maxResult {
		return nil, nil, fmt.Errorf("the result has %d bytes, %d are allowed", len(raw), maxResult)
	}
	proposals := make([]Proposal, 0, set.Len())
	// A set's slice is sorted, so the order is that of the JSON.
	for i, item := range set.Slice() {
		p, err := readProposal(item.Value)
		if err != nil {
			return raw, nil, fmt.Errorf("action[%d]%w", i, err)
		}
		proposals = append(proposals, p)
	}
	return raw, proposals, nil
}

func actions(doc ast.Object) (ast.Set, error) {
	for _, k := range doc.Keys() {
		if name, _ := k.Value.(ast.String); name != "action" {
			return nil, fmt.Errorf("unknown key %s: a playbook's result is action", k)
		}
	}
	term := doc.Get(ast.StringTerm("action"))
	if term == nil {
		return nil, errors.New("action is undefined")
	}
	set, ok := term.Value.(ast.Set)
	if !ok {
		return nil, fmt.Errorf("action is of type %s, not set", ast.ValueName(term.Value))
	}
	return set, nil
}

// encodeTerm writes JSON with sorted keys and sets: equal terms, equal bytes.
func encodeTerm(v ast.Value) (json.RawMessage, error) {
	x, err := ast.JSONWithOpt(v, ast.JSONOpt{SortSets: true})
	if err != nil {
		return nil, err
	}
	return encodeJSON(x)
}

// fields reads an object's keys by name. The first thing wrong stays in err,
// which begins with the path.
type fields struct {
	path string
	of   ast.Object
	err  error
}

func newFields(path string, v ast.Value, known ...string) *fields {
	f := &fields{path: path}
	var ok bool
	if f.of, ok = v.(ast.Object); !ok {
		f.of = ast.NewObject()
		f.err = fmt.Errorf("%s is of type %s, not object", path, ast.ValueName(v))
		return f
	}
	for _, k := range f.of.Keys() {
		name, isText := k.Value.(ast.String)
		if !isText || !slices.Contains(known, string(name)) {
			f.fail(k.String(), "unknown key: use %s", strings.Join(known, ", "))
		}
	}
	return f
}

func (f *fields) fail(key, format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%s.%s: %s", f.path, key, fmt.Sprintf(format, args...))
	}
}

// get returns a key's value, nil if it is absent.
func (f *fields) get(key string) ast.Value {
	if t := f.of.Get(ast.StringTerm(key)); t != nil {
		return t.Value
	}
	return nil
}

// text returns a text that must be there, must not be blank and has a bound.
func (f *fields) text(key string, limit int) string {
	v := f.get(key)
	s, ok := v.(ast.String)
	switch {
	case v == nil:
		f.fail(key, "is missing")
	case !ok:
		f.fail(key, "is of type %s, not string", ast.ValueName(v))
	case strings.TrimSpace(string(s)) == "":
		f.fail(key, "is empty")
	case len(s) > limit:
		f.fail(key, "has %d bytes, %d are allowed", len(s), limit)
	case strings.ContainsFunc(string(s), unicode.IsControl):
		f.fail(key, "has a control character: print what comes from an event with sprintf's %%q")
	}
	return string(s)
}

// number returns a whole number above 0 that must be there.
func (f *fields) number(key string) uint64 {
	v := f.get(key)
	n, ok := v.(ast.Number)
	if v == nil {
		f.fail(key, "is missing")
		return 0
	}
	if !ok {
		f.fail(key, "is of type %s, not number", ast.ValueName(v))
		return 0
	}
	u, err := strconv.ParseUint(string(n), 10, 64)
	if err != nil || u == 0 {
		f.fail(key, "%s is no whole number above 0", n)
	}
	return u
}

func readProposal(v ast.Value) (Proposal, error) {
	f := newFields("", v, "type", "target", "params", "ttl", "reason", "requires_approval")
	p := Proposal{Type: f.text("type", maxName), Reason: f.text("reason", maxReason)}
	if p.Type != "" && !typeShape.MatchString(p.Type) {
		f.fail("type", "%q is no name of an action", p.Type)
	}
	if target := f.get("target"); target == nil {
		f.fail("target", "is missing: without it nobody knows what to act on")
	} else if f.err == nil {
		p.Target, f.err = readTarget(target)
	}
	if v := f.get("params"); v != nil {
		if _, ok := v.(ast.Object); !ok {
			f.fail("params", "is of type %s, not object", ast.ValueName(v))
		} else if f.err == nil {
			p.Params, f.err = encodeTerm(v)
			// Postgres cannot store it.
			if bytes.Contains(p.Params, []byte(`\u0000`)) {
				f.fail("params", "has a NUL character")
			}
		}
	}
	if f.get("ttl") != nil {
		p.TTL = f.text("ttl", maxName)
		if d, err := time.ParseDuration(p.TTL); err != nil || d <= 0 || d > maxTTL {
			f.fail("ttl", "%q is no time above 0 and up to %s: write it as 90s, 15m or 2h", p.TTL, maxTTL)
		}
	}
	if v := f.get("requires_approval"); v != nil {
		b, ok := v.(ast.Boolean)
		if !ok {
			f.fail("requires_approval", "is of type %s, not boolean", ast.ValueName(v))
		}
		p.RequiresApproval = bool(b)
	}
	return p, f.err
}

func readTarget(v ast.Value) (Target, error) {
	const path = ".target"
	obj, ok := v.(ast.Object)
	if !ok {
		return Target{}, fmt.Errorf("%s is of type %s, not object", path, ast.ValueName(v))
	}
	kind := (&fields{path: path, of: obj}).get("kind")
	name, _ := kind.(ast.String)
	keys, known := targetKeys[string(name)]
	if !known {
		f := &fields{path: path, of: obj}
		if f.text("kind", maxName); f.err == nil {
			f.fail("kind", "unknown kind %q: use %s", string(name), strings.Join(slices.Sorted(maps.Keys(targetKeys)), ", "))
		}
		return Target{}, f.err
	}
	f := newFields(path, v, append([]string{"kind"}, keys...)...)
	t := Target{Kind: string(name)}
	switch t.Kind {
	case "pod":
		t.Namespace, t.Name, t.UID = f.text("namespace", maxName), f.text("name", maxName), f.text("uid", maxName)
	case "container":
		t.ContainerID, t.CgroupID, t.StartNS = f.text("container_id", maxName), f.number("cgroup_id"), f.number("start_ns")
	case "process":
		pid := f.number("pid")
		if pid > math.MaxInt32 {
			f.fail("pid", "%d is no process id", pid)
		}
		t.PID, t.StartNS = int32(pid), f.number("start_ns")
	case "node":
		t.Name, t.UID = f.text("name", maxName), f.text("uid", maxName)
	case "workload", "object":
		t.Resource, t.Namespace = f.text("resource", maxName), f.text("namespace", maxName)
		t.Name, t.UID = f.text("name", maxName), f.text("uid", maxName)
	}
	return t, f.err
}
