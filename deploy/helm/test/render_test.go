package chart_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files and the README's table anew")

const (
	folder    = "../riposte"
	namespace = "riposte"
)

// sets are the sets of values of testdata, by name.
func sets(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob("testdata/*.values.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string]map[string]any{}
	for _, file := range files {
		all[strings.TrimSuffix(filepath.Base(file), ".values.yaml")] = read(t, file)
	}
	return all
}

func read(t *testing.T, file string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	values := map[string]any{}
	require.NoError(t, yaml.Unmarshal(b, &values))
	return values
}

// render renders the chart as `helm template riposte` does, the files in their order.
func render(values map[string]any) (map[string]string, error) {
	chart, err := loader.Load(folder)
	if err != nil {
		return nil, err
	}
	caps := common.DefaultCapabilities.Copy()
	caps.KubeVersion = common.KubeVersion{Version: "v1.37.2", Major: "1", Minor: "37"}
	all, err := util.ToRenderValues(chart, values, common.ReleaseOptions{Name: "riposte", Namespace: namespace, Revision: 1, IsInstall: true}, caps)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, all)
}

// objects are the rendered objects, in the order of files and within them.
func objects(t *testing.T, values map[string]any) []map[string]any {
	t.Helper()
	files, err := render(values)
	require.NoError(t, err)
	var all []map[string]any
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for text := range strings.SplitSeq("\n"+files[name], "\n---\n") {
			object := map[string]any{}
			require.NoError(t, yaml.UnmarshalStrict([]byte(text), &object), "%s:\n%s", name, text)
			if len(object) > 0 {
				all = append(all, object)
			}
		}
	}
	return all
}

func TestLint(t *testing.T) {
	for name, values := range sets(t) {
		t.Run(name, func(t *testing.T) {
			result := lint.RunAll(folder, values, namespace, lint.WithKubeVersion(&common.KubeVersion{Version: "v1.37.2", Major: "1", Minor: "37"}))
			for _, m := range result.Messages {
				require.Less(t, m.Severity, support.WarningSev, m.Error())
			}
		})
	}
}

// A golden file shows in a review what a change of the chart does to a cluster.
func TestGolden(t *testing.T) {
	for name, values := range sets(t) {
		t.Run(name, func(t *testing.T) {
			files, err := render(values)
			require.NoError(t, err)
			var b bytes.Buffer
			for _, file := range slices.Sorted(maps.Keys(files)) {
				if text := strings.TrimSpace(files[file]); text != "" {
					fmt.Fprintf(&b, "# %s\n%s\n---\n", strings.TrimPrefix(file, "riposte/"), text)
				}
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				require.NoError(t, os.WriteFile(golden, b.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err, "write it with -update")
			require.Equal(t, string(want), b.String(), "look at the difference, and write it with -update if it is meant")
		})
	}
}
