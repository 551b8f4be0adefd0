package playbook_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

func TestReloadSaysWhatChanged(t *testing.T) {
	dir := t.TempDir()
	lib := "package riposte.lib.mine\n\nact := {\"type\": \"x\"}\n"
	write(t, dir, "a.rego", head("a")+"import data.riposte.lib.mine\n\naction contains mine.act\n")
	write(t, dir, "l.rego", lib)
	write(t, dir, "b.rego", head("b")+killPod)
	h, err := playbook.NewHolder(playbook.Options{}, playbook.Embedded(), playbook.Dir(dir))
	require.NoError(t, err)
	first := h.Last()
	require.Equal(t, len(h.Playbooks()), first.Parts)
	require.Len(t, first.Added, first.Parts)
	require.Empty(t, first.Changed)

	// A new library that only a uses changes a alone; nobody's library changes nobody.
	write(t, dir, "l.rego", strings.Replace(lib, `"x"`, `"y"`, 1))
	write(t, dir, "nobody.rego", "package riposte.lib.nobody\n\nx := 1\n")
	write(t, dir, "data.json", `{"unused": 1}`)
	write(t, dir, "c.rego", head("c")+killPod)
	require.NoError(t, os.Remove(filepath.Join(dir, "b.rego")))
	require.NoError(t, h.Reload())
	r := h.Last()
	require.Equal(t, []string{"a"}, changeNames(r.Changed))
	require.Equal(t, first.Added[0].Revision, r.Changed[0].Was)
	require.NotEqual(t, r.Changed[0].Was, r.Changed[0].Revision)
	require.Equal(t, []string{"c"}, changeNames(r.Added))
	require.Equal(t, []string{"b"}, changeNames(r.Removed))
	require.Equal(t, dir, r.Removed[0].Source)

	require.NoError(t, h.Reload())
	require.Empty(t, append(append(h.Last().Added, h.Last().Changed...), h.Last().Removed...))
	require.Equal(t, uint64(3), h.Loads().Good)
}

func changeNames(list []sandbox.Change) (out []string) {
	for _, c := range list {
		out = append(out, c.Name)
	}
	return out
}

// Data belongs to the decision: it is seen, it is part of the revision, and it is
// replaced with the rules at once.
func TestPlaybooksWithData(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.rego", head("a")+"action contains {\"type\": sprintf(\"x_%d\", [count(data.bad)]), \"target\": {\"kind\": \"pod\", \"namespace\": \"n\", \"name\": \"p\", \"uid\": \"u\"}, \"reason\": \"r\"}\n")
	write(t, dir, "data.json", `{"bad": ["one"], "other": 1}`)
	h, err := playbook.NewHolder(patient, playbook.Embedded(), playbook.Dir(dir))
	require.NoError(t, err)
	ask := func() playbook.Decision {
		for _, d := range h.Evaluate(context.Background(), drill(t)) {
			if d.Playbook == "a" {
				return d
			}
		}
		t.Fatal("not asked")
		return playbook.Decision{}
	}
	before := ask()
	require.Empty(t, before.Refusal)
	require.Equal(t, "x_1", before.Proposals[0].Type)
	write(t, dir, "data.json", `{"bad": ["one", "two"], "other": 1}`)
	require.NoError(t, h.Reload())
	after := ask()
	require.Equal(t, "x_2", after.Proposals[0].Type)
	require.NotEqual(t, before.Revision, after.Revision)
	write(t, dir, "data.json", `{"bad": ["one", "two"], "other": 2}`)
	require.NoError(t, h.Reload())
	require.Equal(t, after.Revision, ask().Revision, "of data that it does not read nothing depends")

	// Tests see it too, and can put other data in its place.
	write(t, dir, "a_test.rego", "package playbooks.a_test\n\nimport data.playbooks.a\n\ntest_two if {\n\tsome x in a.action\n\tx.type == \"x_2\"\n}\n\n"+
		"test_three if {\n\tsome x in a.action with data.bad as [1, 2, 3]\n\tx.type == \"x_3\"\n}\n")
	report, err := playbook.Test(context.Background(), playbook.Dir(dir))
	require.NoError(t, err)
	require.Len(t, report.Tests, 2)
	require.Zero(t, report.Failed(), "%v", report.Tests)
}

func TestNamesMustNotClash(t *testing.T) {
	a := source("one", "a.rego", head("a")+killPod, "l.rego", "package riposte.lib.mine\n\nx := 1\n", "x/data.json", "{}")
	b := source("two", "z/a.rego", head("a")+killPod, "l.rego", "package riposte.lib.mine\n\nx := 1\n", "data.json", "{\n  \"x\": 1}")
	_, err := playbook.Load(playbook.Options{}, playbook.Embedded(), a, b)
	require.ErrorContains(t, err, "two/z/a.rego:11:1: playbook a is there already, in one/a.rego: two sources cannot both have it")
	require.ErrorContains(t, err, "two/l.rego:1:1: library riposte.lib.mine is there already, from one: give yours another name")
	require.ErrorContains(t, err, "two/data.json:2:3: data.x is there already, in one/x/data.json: two sources cannot both have it")
}
