package accept_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// told checks that the record answers who, why, what and when about an action on a pod,
// and that it has this kind of entry.
func told(t *testing.T, own *client.Client, a api.Action, pod corev1.Pod, kind string) {
	t.Helper()
	page, err := own.Audit(t.Context(), client.AuditFilter{Action: a.ID, Limit: 500})
	require.NoError(t, err)
	var kinds []string
	for _, e := range page.Items {
		kinds = append(kinds, e.Kind)
		if e.Actor != "system:execute" { // which lifts what has had its time
			require.Equal(t, "playbook:"+a.Playbook+"@"+a.Revision, e.Actor, "%s: who", e.Kind)
		}
		require.NotEmpty(t, e.AlertID, "%s: why", e.Kind)
		if e.Kind != "action.joined" { // that is another alert, whose answer was the same
			require.Equal(t, a.AlertID, e.AlertID, "%s: why", e.Kind)
		}
		require.Equal(t, a.Type, e.Type, "%s: what", e.Kind)
		require.NotNil(t, e.Target, "%s: to what", e.Kind)
		require.Equal(t, []string{pod.Namespace, pod.Name, string(pod.UID)}, []string{e.Target.Namespace, e.Target.Name, e.Target.UID}, e.Kind)
		require.False(t, e.At.IsZero(), "%s: when", e.Kind)
	}
	require.Contains(t, kinds, kind)

	// The same by the object alone, as somebody asks who knows nothing else.
	page, err = own.Audit(t.Context(), client.AuditFilter{UID: string(pod.UID), Type: a.Type, Limit: 500})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(page.Items, func(e api.AuditEntry) bool { return e.ActionID == a.ID && e.Kind == kind }))

	story, err := own.Story(t.Context(), a.ID)
	require.NoError(t, err)
	require.Equal(t, "action", story.Asked)
	require.Equal(t, a.AlertID, story.Alert.ID)
	require.Equal(t, string(pod.UID), story.Alert.PodUID)
	require.NotEmpty(t, story.Decisions)
	require.NotEmpty(t, story.Decisions[0].Rules, "which lines of the playbook fired: %s", story.Decisions[0].Note)
	require.Len(t, story.Actions, 1)
	var stages []string
	for _, s := range story.Actions[0].Timeline.Stages {
		stages = append(stages, s.Name)
	}
	want := []string{"syscall", "alert", "received", "decided"}
	if a.ExecutedAt != nil {
		want = append(want, "executed", "verified")
	}
	for _, stage := range want {
		require.Contains(t, stages, stage)
	}
}

// noted checks that the record has the alert, whether anything came of it or not.
func noted(t *testing.T, own *client.Client, a api.Alert) {
	t.Helper()
	page, err := own.Audit(t.Context(), client.AuditFilter{Alert: a.ID, Kind: "alert"})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	e := page.Items[0]
	require.Equal(t, []string{"system:agent on " + a.Node, a.Rule, a.Node, a.IncidentID}, []string{e.Actor, e.Rule, e.Node, e.IncidentID})
}

// record is what the command line answers about all of it, in the words of docs/audit.md.
func (c *cluster) record(t *testing.T, own *client.Client, deleted map[string]api.Action) {
	keys, err := c.CoreV1().Secrets(namespace).Get(t.Context(), "riposte-keys", metav1.GetOptions{})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, keys.Data["token"], 0o600))
	riposte := func(args ...string) string {
		return command(t, "riposte", append(args, "--server", own.Server(), "--token-file", file)...)
	}
	for name, a := range deleted {
		require.Contains(t, riposte("audit", "query", "--action", a.ID), "delete_pod", name)
		story := riposte("audit", "show", a.ID)
		t.Logf("%s\n%s", name, story)
		for _, said := range []string{a.TargetName, a.Rule, a.Playbook} {
			require.Contains(t, story, said, name)
		}
	}
	t.Log(riposte("audit", "stats", "--by", "kind,result"))
	t.Log(riposte("audit", "verify")) // exits with 1 if anything does not fit
}
