package alert_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
)

func TestToken(t *testing.T) {
	for name, token := range map[string]string{
		"node-1":        "node-1",
		"node.example":  "node_2Eexample",
		"Node_1":        "_4Eode_5F1",
		"*>":            "_2A_3E",
		"":              "",
		"münchen":       "m_C3_BCnchen",
		"a b\x00\n\xff": "a_20b_00_0A_FF",
	} {
		require.Equal(t, token, alert.Token(name))
		back, err := alert.Name(token)
		require.NoError(t, err)
		require.Equal(t, name, back)
	}
	for _, token := range []string{"a.b", "_", "_4", "_zz", "_2e", "_61", "A", "*", ">", "_+1", " "} {
		_, err := alert.Name(token)
		require.Error(t, err, "%q is no token", token)
	}
}

func TestSubjects(t *testing.T) {
	subject := alert.Subject("prod", "node.example", alert.Critical)
	require.Equal(t, "alerts.prod.node_2Eexample.critical", subject)
	cluster, node, p, err := alert.ParseSubject(subject)
	require.NoError(t, err)
	require.Equal(t, "prod", cluster)
	require.Equal(t, "node.example", node)
	require.Equal(t, alert.Critical, p)
	require.Equal(t, "alerts.prod.node_2Eexample.*", alert.Subjects("prod", "node.example"))
	require.Equal(t, "agents.prod.node_2Eexample", alert.HeartbeatSubject("prod", "node.example"))
	require.Equal(t, "node.example/b/7", (&alert.Riposte{Node: "node.example", BootID: "b", Seq: 7}).MessageID())
	for _, bad := range []string{"", "alerts", "alerts.a.b", "alerts.a.b.c.critical", "orders.a.b.critical", "alerts.a.b.loud", "alerts.A.b.error", "alerts.a.B.error"} {
		_, _, _, err := alert.ParseSubject(bad)
		require.Error(t, err, bad)
	}
}

func TestInboxPrefixesOfTwoNodesNeverMeet(t *testing.T) {
	seen := map[string][2]string{}
	parts := []string{"a", "a_", "_a", "a__b", "b", "_", "__", "a.b"}
	for _, cluster := range parts {
		for _, node := range parts {
			p := alert.InboxPrefix(cluster, node)
			require.Equal(t, 2, strings.Count(p, "."), "a pattern of three tokens has those of a cluster")
			require.NotContains(t, seen, p)
			seen[p] = [2]string{cluster, node}
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"node-1", "node.example", "_2E", "a_", "", "\xff", "_5F2E"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		token := alert.Token(a)
		require.Empty(t, strings.Trim(token, "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDEF"), "nothing that means something in a subject")
		back, err := alert.Name(token)
		require.NoError(t, err)
		require.Equal(t, a, back)
		require.Equal(t, a == b, token == alert.Token(b), "two names never share a token")
		if name, err := alert.Name(a); err == nil {
			require.Equal(t, a, alert.Token(name), "a name has one token")
		}
		if a != "" && b != "" {
			cluster, node, _, err := alert.ParseSubject(alert.Subject(a, b, alert.Notice))
			require.NoError(t, err)
			require.Equal(t, []string{a, b}, []string{cluster, node})
		}
	})
}
