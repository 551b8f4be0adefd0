package responder_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder"
	"riposte/responder/action"
)

// What every action says of itself must hold, for the reference, the chart and the
// guard are made from it.
func TestActionsDescribeThemselves(t *testing.T) {
	types := map[string]bool{"text": true, "number": true, "bool": true, "duration": true, "list": true, "map": true}
	for _, a := range responder.Actions() {
		s := a.Spec()
		t.Run(s.Type, func(t *testing.T) {
			require.Regexp(t, `^[a-z]+(_[a-z]+)*$`, s.Type)
			require.Regexp(t, `^[A-Z].*\.$`, s.Summary)
			for _, p := range s.Permissions {
				_, err := action.ParsePermission(p)
				require.NoError(t, err)
			}
			var example map[string]any
			require.NoError(t, json.Unmarshal([]byte(s.Example), &example))
			require.NoError(t, s.Decode(json.RawMessage(s.Example), &map[string]any{}))
			for _, p := range s.Params {
				require.True(t, types[p.Type], "%s is of type %q", p.Name, p.Type)
				require.NotEmpty(t, p.Desc, p.Name)
			}
			_, preview := a.(action.Previewer)
			require.True(t, preview || len(s.Permissions) == 0, "what changes the cluster can be previewed")
		})
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	var want bytes.Buffer
	require.NoError(t, action.WriteReference(&want, responder.Actions()...))
	have, err := os.ReadFile("../docs/actions.md")
	require.NoError(t, err)
	require.Equal(t, want.String(), string(have), "run make generate")
}
