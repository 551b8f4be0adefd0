package kubeobject

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
)

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	require.NoError(t, json.Unmarshal([]byte(text), &o.Object))
	return o
}

func TestRedact(t *testing.T) {
	o := object(t, `{"kind": "Deployment", "metadata": {"name": "x", "resourceVersion": "1", "managedFields": [{}], "annotations": {
		"kubectl.kubernetes.io/last-applied-configuration": "hunter2", "note": "a\u0000b"}},
		"data": {"k": "hunter2"}, "spec": {"template": {"spec": {"containers": [
			{"env": [{"name": "A", "value": "hunter2"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s"}}}, "odd", {"name": "C", "value": 7}]}, "odd"],
			"env": "a text of that name"}}}}`)
	was := o.DeepCopy()
	got, err := json.Marshal(Redact(o).Object)
	require.NoError(t, err)
	require.NotContains(t, string(got), "hunter2")
	require.NotContains(t, string(got), "7}")
	require.NotContains(t, string(got), "managedFields")
	require.Contains(t, string(got), `"secretKeyRef":{"name":"s"}`)
	require.Contains(t, string(got), `"env":"a text of that name"`)
	require.Contains(t, string(got), "(7 bytes, not shown)")
	require.NotContains(t, string(got), `\u0000`)
	require.Equal(t, was, o, "the object itself stays as it is")
	require.Nil(t, Redact(nil))
}

func TestDiff(t *testing.T) {
	before := object(t, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "a", "name": "b", "resourceVersion": "1", "labels": {"app": "x"}}, "status": {"phase": "Running"}}`)
	after := before.DeepCopy()
	after.SetLabels(map[string]string{"app": "y"})
	after.SetResourceVersion("2")
	text, err := Diff(before, after)
	require.NoError(t, err)
	require.Equal(t, "--- Pod/a/b\n+++ Pod/a/b\n@@ -2,7 +2,7 @@\n kind: Pod\n metadata:\n   labels:\n-    app: x\n+    app: \"y\"\n   name: b\n   namespace: a\n \n", text)
	text, err = Diff(before, before)
	require.NoError(t, err)
	require.Empty(t, text)
	after.SetAnnotations(map[string]string{"big": strings.Repeat("x\n", maxDiff)})
	text, err = Diff(nil, after)
	require.NoError(t, err)
	require.LessOrEqual(t, len(text), maxDiff+10)
	require.Contains(t, text, "--- none")
}

func TestRestoreOfListElements(t *testing.T) {
	o := object(t, `{"spec": {"taints": [{"key": "a", "effect": "E"}, "odd", {"key": "b", "effect": "E", "value": "1"}]}}`)
	f := Want(map[string]any{"key": "b", "effect": "E", "value": "2"}, "spec", "taints")
	f.Match = map[string]string{"key": "b", "effect": "E"}
	image, err := Set(o, "kind_x", "id-1", []Field{f})
	require.NoError(t, err)
	require.Contains(t, o.GetAnnotations(), "riposte.dev/kind-x")
	require.Empty(t, Missing(o, []Field{f}))

	left, err := Restore(o, "kind_x", image)
	require.NoError(t, err)
	require.Empty(t, left)
	require.Empty(t, o.GetAnnotations())
	value, _, _ := unstructured.NestedSlice(o.Object, "spec", "taints")
	require.Equal(t, "1", value[2].(map[string]any)["value"])
}

// The path leads through what is no map: an error, and nobody panics.
func TestOddObjects(t *testing.T) {
	for _, text := range []string{`{"spec": "odd"}`, `{"spec": {"taints": "odd"}}`, `{"spec": []}`, `{}`, `{"spec": null}`} {
		f := Want(map[string]any{"key": "b"}, "spec", "taints")
		f.Match = map[string]string{"key": "b"}
		o := object(t, text)
		if _, err := Set(o, "x", "id", []Field{f}); err != nil {
			require.Equal(t, action.Permanent, action.KindOf(err))
		}
		_, _ = Set(object(t, text), "x", "id", []Field{Want("v", "spec", "taints", "deep")})
	}
}

func TestRefs(t *testing.T) {
	for resource, want := range map[string]string{
		Pods: "pod a/b", NetworkPolicies: "networkpolicy a/b", "networking.k8s.io/v1/ingresses": "ingress a/b", StatefulSets: "statefulset a/b",
	} {
		require.Equal(t, want, To(resource, "a", "b", "").String())
		require.Equal(t, resource, To(resource, "a", "b", "").group())
	}
	require.Equal(t, []string{"get deployments.apps", "patch deployments.apps", "get pods", "patch pods"}, Permissions("get patch", Deployments, Pods))
	for _, bad := range []string{"", "pods", "v1/", "v1/pods/log", "a/b/c/d", "v1/Pods", "../v1/pods", "v1/pods?x"} {
		_, err := RefOf(action.Target{Kind: action.KindObject, Resource: bad})
		require.ErrorContains(t, err, "target.resource: ", bad)
	}
}

func TestForgedMarks(t *testing.T) {
	for _, text := range []string{``, `{`, `[]`, `{"id": ""}`, `{"id": "other"}`} {
		o := object(t, `{"metadata": {"annotations": {}}}`)
		o.SetAnnotations(map[string]string{"riposte.dev/x": text})
		_, ok := Marked(o, "x", "id")
		require.False(t, ok, text)
		_, ok = Marked(o, "x", "")
		require.False(t, ok, text)
	}
}

func TestCIDRs(t *testing.T) {
	got, err := CIDRs("p", []string{"10.1.2.3", "10.1.2.3/8", "2001:db8::1", "::ffff:1.2.3.4/128"})
	require.NoError(t, err)
	require.Equal(t, []any{"10.1.2.3/32", "10.0.0.0/8", "2001:db8::1/128", "::ffff:1.2.3.4/128"}, got)
	for _, bad := range []string{"", "x", "10.0.0.0/33", "fe80::1%eth0", "10.0.0.1/8 "} {
		_, err := CIDRs("p", []string{bad})
		require.ErrorContains(t, err, "params.p: ", bad)
	}
}

// Applying the patch of any two objects to the first gives the second.
func FuzzMergePatch(f *testing.F) {
	f.Add([]byte(`{"a": 1, "b": {"c": [1]}}`), []byte(`{"b": {"d": {}}, "e": null}`))
	f.Add([]byte(`{}`), []byte(`{"a": {"b": {"c": "x"}}}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var from, to map[string]any
		if json.Unmarshal(a, &from) != nil || json.Unmarshal(b, &to) != nil || from == nil || to == nil {
			return
		}
		dropNulls(from)
		dropNulls(to)
		want, _ := json.Marshal(to)
		got, _ := json.Marshal(merge(from, mergePatch(from, to)))
		if string(want) != string(got) {
			t.Fatalf("%s to %s: %s", a, want, got)
		}
	})
}

// merge is RFC 7396 as it is written there.
func merge(target any, patch map[string]any) map[string]any {
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for k, v := range patch {
		inner, isMap := v.(map[string]any)
		switch {
		case v == nil:
			delete(object, k)
		case isMap:
			object[k] = merge(object[k], inner)
		default:
			object[k] = v
		}
	}
	return object
}

// dropNulls: a merge patch cannot write a null, and the API has none to keep.
func dropNulls(v any) {
	if m, ok := v.(map[string]any); ok {
		for k, inner := range m {
			if inner == nil {
				delete(m, k)
				continue
			}
			dropNulls(inner)
		}
	}
}
