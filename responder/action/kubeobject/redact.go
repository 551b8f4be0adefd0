package kubeobject

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// hidden stands for a value that is not shown.
const hidden = "(not shown)"

// Redact returns a copy of the object that may be recorded and shown: without
// values of environment variables, without what secrets and config maps hold, and
// without the API server's own bookkeeping. Texts are made storable.
func Redact(o *unstructured.Unstructured) *unstructured.Unstructured {
	if o == nil {
		return nil
	}
	c := o.DeepCopy()
	c.SetManagedFields(nil)
	c.SetResourceVersion("")
	annotations := c.GetAnnotations()
	// kubectl keeps a copy of the whole object here, environment and all.
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	c.SetAnnotations(annotations)
	for _, field := range []string{"data", "stringData", "binaryData"} {
		values, ok := c.Object[field].(map[string]any)
		if !ok {
			continue
		}
		for key, v := range values {
			values[key] = fmt.Sprintf("(%d bytes, not shown)", len(fmt.Sprint(v)))
		}
	}
	hideEnvironment(c.Object)
	c.Object, _ = storable(c.Object).(map[string]any)
	return c
}

// hideEnvironment finds the lists called env at any depth: of pods, of templates
// of pods, and of whatever other objects have such.
func hideEnvironment(v any) {
	switch x := v.(type) {
	case map[string]any:
		for key, inner := range x {
			list, isList := inner.([]any)
			if key == "env" && isList {
				for _, item := range list {
					if variable, ok := item.(map[string]any); ok && variable["value"] != nil {
						variable["value"] = hidden
					}
				}
				continue
			}
			hideEnvironment(inner)
		}
	case []any:
		for _, inner := range x {
			hideEnvironment(inner)
		}
	}
}

// storable makes every text of a value one that the record can hold.
func storable(v any) any {
	switch x := v.(type) {
	case string:
		return Text(x)
	case map[string]any:
		for key, inner := range x {
			x[key] = storable(inner)
		}
	case []any:
		for i, inner := range x {
			x[i] = storable(inner)
		}
	}
	return v
}

// Text replaces what Postgres cannot store in JSON: NUL characters and bytes that
// are no UTF-8.
func Text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}
