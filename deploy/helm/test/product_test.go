package chart_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	agentcommand "riposte/agent/command"
	"riposte/agent/config"
	"riposte/deploy/standalone/keyset"
	"riposte/responder/api/access"
	respondercommand "riposte/responder/command"
	"riposte/responder/guard"
)

// Each container of ours is started with flags that this version has.
func TestFlagsAreThere(t *testing.T) {
	root := &cobra.Command{Use: "riposte"}
	root.AddCommand(agentcommand.NewAgent("test"), keyset.New())
	root.AddCommand(respondercommand.New("test", fstest.MapFS{})...)
	started := map[string]bool{}
	for name, values := range sets(t) {
		for _, o := range objects(t, values) {
			spec, found, err := unstructured.NestedMap(o, "spec", "template", "spec")
			require.NoError(t, err)
			if !found {
				continue
			}
			for _, list := range []string{"containers", "initContainers"} {
				containers, _ := spec[list].([]any)
				for _, c := range containers {
					if !strings.Contains(at(t, c, "image").(string), "riposte/riposte") {
						continue
					}
					var args []string
					for _, a := range at(t, c, "args").([]any) {
						args = append(args, a.(string))
					}
					command, flags, err := root.Find(args)
					require.NoError(t, err, name)
					require.NoError(t, command.ParseFlags(flags), "%s: %s", name, command.CommandPath())
					require.NoError(t, command.ValidateArgs(command.Flags().Args()), "%s: %s", name, command.CommandPath())
					require.NoError(t, command.ValidateRequiredFlags())
					require.NoError(t, command.ValidateFlagGroups())
					started[command.CommandPath()] = true
				}
			}
		}
	}
	require.Equal(t, map[string]bool{"riposte agent": true, "riposte responder": true, "riposte migrate": true, "riposte keys make": true}, started)
}

// The files that the chart writes are ones that agent and responder take, without a word.
func TestFilesAreTaken(t *testing.T) {
	for name, values := range sets(t) {
		for _, o := range objects(t, values) {
			data, _, err := unstructured.NestedStringMap(o, "data")
			if err != nil || data == nil {
				continue
			}
			if text, ok := data["agent.yaml"]; ok {
				file := filepath.Join(t.TempDir(), "agent.yaml")
				require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
				c, err := config.Load(config.Options{File: file, Lookup: func(string) (string, bool) { return "", false }})
				require.NoError(t, err, name)
				require.Empty(t, c.Warnings, name)
				require.Equal(t, "/var/run/riposte/token/token", c.Riposte.NATSToken)
				require.Equal(t, name != "watch-only", c.Riposte.OrderKey != "", name)
			}
			if text, ok := data["guard.yaml"]; ok {
				_, err := guard.ParseConfig([]byte(text))
				require.NoError(t, err, name)
			}
			if text, ok := data["access.yaml"]; ok {
				_, err := access.ParseConfig([]byte(text))
				require.NoError(t, err, name)
			}
		}
	}
}

// The dashboard's file is JSON that ends where it should, whatever stands around it.
func TestTheDashboardComesThroughWhole(t *testing.T) {
	want, err := os.ReadFile(folder + "/files/dashboard.json")
	require.NoError(t, err)
	o := find(t, objects(t, sets(t)["production"]), "ConfigMap", "-dashboard")
	require.Equal(t, string(bytes.TrimSpace(want)), strings.TrimSpace(at(t, o, "data", "riposte.json").(string)))
}
