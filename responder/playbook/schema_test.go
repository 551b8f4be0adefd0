package playbook_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/stretchr/testify/require"

	"riposte/playbooks"
	"riposte/playbooks/schematest"
	"riposte/responder/playbook"
)

func schema(t *testing.T, name string) map[string]any {
	b, err := playbooks.Schema(name)
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(b, &v))
	return v
}

// The schema and the Go type have the same keys, of the same types, and every key
// is described: what the schema lacks no playbook can use.
func TestSchemaIsTheInput(t *testing.T) {
	schematest.Same(t, "input", reflect.TypeFor[playbook.Input]())
}

// The drill's own alert keeps to the schema.
func TestInputsKeepToTheSchema(t *testing.T) {
	s, err := playbook.Load(patient, playbook.Embedded())
	require.NoError(t, err)
	for name, in := range map[string]playbook.Input{"drill": drill(t), "pod": podAlert(t)} {
		t.Run(name, func(t *testing.T) {
			var doc any
			require.NoError(t, json.Unmarshal(s.Evaluate(context.Background(), in)[0].Input, &doc))
			valid := func(doc any) bool {
				rs, err := rego.New(rego.Query("json.match_schema(input.doc, input.schema)[0]"),
					rego.Input(map[string]any{"doc": doc, "schema": schema(t, "input")})).Eval(context.Background())
				require.NoError(t, err)
				ok, _ := rs[0].Expressions[0].Value.(bool)
				return ok
			}
			require.True(t, valid(doc))
			doc.(map[string]any)["surprise"] = 1
			require.False(t, valid(doc), "the check can fail")
		})
	}
}
