package command

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
)

func privatePEM(t *testing.T, key any) []byte {
	t.Helper()
	b, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
}

// completed is what a shell is offered.
func completed(t *testing.T, data, line string) string {
	t.Helper()
	words := append([]string{cobra.ShellCompRequestCmd}, strings.Fields(line)...)
	if data != "" {
		words = append(words, "--data", data)
	}
	out, _, err := run(t, append(words, "")...)
	require.NoError(t, err, line)
	offered, _, _ := strings.Cut(out, ":") // the directive is the last line
	if i := strings.LastIndex(out, "\n:"); i >= 0 {
		offered = out[:i]
	}
	return offered
}

func TestLiveCompletion(t *testing.T) {
	e := manualEnv(t)
	data := folder(t, e.URL, apitest.Token)
	exec(t, e, `INSERT INTO agents VALUES ('test', 'a node; reboot', '0b0c7a2e-1d5f-4a52-9a3c-7d8e9f001123', '{}', $1)`, apitest.Base)
	_, _, err := run(t, "tokens", "create", "jane", "--data", data)
	require.NoError(t, err)
	for line, want := range map[string][]string{
		"alerts show":             {"a00000000003\t", "Error: Shell \\x1b[2J\\u202egnp.exe"},
		"incidents show":          {"b00000000008\t", "open Critical: t"},
		"incidents resolve":       {"b00000000008\t"},
		"decisions show":          {"d00000000001\t"},
		"actions show":            {"c00000000001\t", "c00000000008\t", "succeeded"},
		"actions approve":         {"c00000000005\t", "c00000000006\t"},
		"actions cancel":          {"c00000000007\t"},
		"actions lift":            {"c00000000008\t", "freeze_container of container"},
		"agents show":             {"node-1\tcluster test, losing, heard"},
		"deadletters redrive":     {"e00000000001\t", "malformed of node-0"},
		"tokens revoke":           {"\tjane, viewer, expires"},
		"playbooks source":        {apitest.Playbook + "\tenforce: Kill a container on a Critical alert"},
		"actions list --playbook": {apitest.Playbook + "\tenforce: "},
		"alerts list --node":      {"node-1\t"},
		"decisions list --alert":  {"a00000000001\t"},
		"agents list -o":          {"wide", "jsonpath="},
	} {
		// The flag that is completed is the last word, so the folder comes before.
		words := strings.Fields(line)
		got := completed(t, "", strings.Join(append([]string{words[0], words[1], "--data", data}, words[2:]...), " "))
		for _, w := range want {
			require.Contains(t, got, w, line)
		}
		for _, r := range got {
			require.False(t, r != '\n' && r != '\t' && hidden(r), "%s: %q would reach a shell", line, r)
		}
	}
	require.NotContains(t, completed(t, data, "actions cancel"), "c00000000001")
	require.NotContains(t, completed(t, data, "actions approve"), "c00000000001")
	require.NotContains(t, completed(t, data, "actions lift"), "c00000000001")
	require.NotContains(t, completed(t, data, "agents show"), "reboot")
	require.Empty(t, completed(t, data, "actions show c00000000001"), "one id is enough")

	config(t)
	require.Empty(t, completed(t, "", "context use"))
	_, _, err = run(t, "context", "add", "prod", "--server", e.URL, "--token-file", data+"/token")
	require.NoError(t, err)
	require.Equal(t, "prod\t"+e.URL, completed(t, "", "context use"))
	require.Equal(t, "prod\t"+e.URL, completed(t, "", "status --context"))
}

// Somebody who does not answer is waited for a second, and nobody is told.
func TestCompletionIsSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	for _, data := range []string{folder(t, "http://"+l.Addr().String(), "t"), t.TempDir()} {
		for _, line := range []string{"alerts show", "actions approve", "agents show"} {
			require.Empty(t, completed(t, data, line))
		}
	}
}
