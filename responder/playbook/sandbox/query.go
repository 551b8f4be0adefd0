package sandbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/util"
)

// ErrDeadline says that an evaluation did not end in its time.
var ErrDeadline = errors.New("the evaluation did not end in time")

// Schema describes the input: a misspelt field of it is a compile error.
type Schema struct{ raw any }

// NewSchema reads a JSON schema.
func NewSchema(b []byte) (Schema, error) {
	var s Schema
	if err := util.UnmarshalJSON(b, &s.raw); err != nil {
		return Schema{}, fmt.Errorf("read the input's schema: %w", err)
	}
	return s, nil
}

// compiler is strict: an unused variable or import is an error too.
func compiler(s Schema) *ast.Compiler {
	set := ast.NewSchemaSet()
	set.Put(ast.SchemaRootRef, s.raw)
	// Annotations must not bring a schema of their own: it would replace ours.
	return ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities).WithSchemas(set).WithUseTypeCheckAnnotations(false)
}

// Compiled is a set of files that belong together.
type Compiled struct {
	c     *ast.Compiler
	files []*File
	data  map[string]any
}

// Compile compiles files, tests left out, for an input of that schema. Each
// reference to data must lead to a rule of these files or into their data; all Errors
// are returned.
func Compile(files []*File, s Schema) (*Compiled, error) {
	data, err := documents(files)
	if err != nil {
		return nil, err
	}
	c := compiler(s)
	c.Compile(modules(files, false))
	if c.Failed() {
		return nil, sorted(Errors(nil).Append(c.Errors))
	}
	var errs Errors
	for _, f := range files {
		if !f.Test && f.Module != nil {
			errs = append(errs, strayReferences(c, data, c.Modules[f.Path])...)
		}
	}
	if err := sorted(errs).Err(); err != nil {
		return nil, err
	}
	return &Compiled{c: c, files: files, data: data}, nil
}

func modules(files []*File, tests bool) map[string]*ast.Module {
	out := make(map[string]*ast.Module, len(files))
	for _, f := range files {
		if f.Module != nil && (tests || !f.Test) {
			// The compiler rewrites what it is given.
			out[f.Path] = f.Module.Copy()
		}
	}
	return out
}

func sorted(errs Errors) Errors {
	slices.SortStableFunc(errs, func(a, b *Error) int {
		if d := strings.Compare(a.File, b.File); d != 0 {
			return d
		}
		return a.Line - b.Line
	})
	return errs
}

// strayReferences finds references to data that no rule and no document defines. They
// would be undefined at every evaluation, which "not" turns into true.
func strayReferences(c *ast.Compiler, data map[string]any, m *ast.Module) Errors {
	var errs Errors
	check := func(r ast.Ref) bool {
		if len(r) == 0 || !r[0].Equal(ast.DefaultRootDocument) {
			return false
		}
		ground := r.GroundPrefix()
		_, document := lookup(data, ground)
		switch rules := len(c.GetRules(ground)); {
		case rules == 0 && document && len(ground) > 1:
		case rules == 0:
			errs = append(errs, At(r[0].Location, "%s is defined nowhere: there is no data but the rules of this package and of riposte.lib, and what data.json holds", ground))
		case len(ground) < 4:
			errs = append(errs, At(r[0].Location, "%s reaches too wide: name the one rule that is meant", r))
		}
		return false
	}
	for _, rule := range m.Rules {
		ast.WalkRefs(rule, check)
	}
	return errs
}

// Query is one prepared query. It is safe for concurrent use.
type Query struct{ q opa.PreparedEvalQuery }

// Query prepares one reference, for instance "data.playbooks.example".
func (p *Compiled) Query(ctx context.Context, ref string) (*Query, error) {
	options := []func(*opa.Rego){opa.Query(ref), opa.Compiler(p.c), opa.StrictBuiltinErrors(true)}
	if len(p.data) > 0 {
		options = append(options, opa.Store(storeOf(p.data)))
	}
	q, err := opa.New(options...).PrepareForEval(ctx)
	if err != nil {
		return nil, Errors(nil).Append(err)
	}
	return &Query{q: q}, nil
}

// storeOf keeps values as Rego has them, so that an evaluation does not convert them.
func storeOf(data map[string]any) storage.Store {
	return inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true))
}

// Eval evaluates the query at the time now and returns its value, nil if it is
// undefined. Out of time it returns ErrDeadline, and ctx's own error when the
// caller gave up; any other error is the policy's.
func (q *Query) Eval(ctx context.Context, input ast.Value, now time.Time, limit time.Duration) (ast.Value, error) {
	return q.eval(ctx, input, now, limit)
}

func (q *Query) eval(ctx context.Context, input ast.Value, now time.Time, limit time.Duration, more ...opa.EvalOption) (ast.Value, error) {
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var value ast.Value
	rs, err := q.q.Eval(bounded, append(more, opa.EvalParsedInput(input), opa.EvalTime(now),
		opa.EvalGenerateJSON(func(t *ast.Term, _ *opa.EvalContext) (any, error) { return t.Value, nil }))...)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case bounded.Err() != nil || topdown.IsCancel(err):
		return nil, ErrDeadline
	default:
		return nil, sorted(Errors(nil).Append(policyError(err)))
	}
	if len(rs) == 1 && len(rs[0].Expressions) == 1 {
		value, _ = rs[0].Expressions[0].Value.(ast.Value)
	}
	return value, nil
}

// policyError gives an error of the evaluation its place.
func policyError(err error) error {
	if e, ok := errors.AsType[*topdown.Error](err); ok {
		return At(e.Location, "%s", e.Message)
	}
	return err
}
