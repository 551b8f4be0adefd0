package kubeobject

import (
	"fmt"

	"github.com/pmezard/go-difflib/difflib"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// maxDiff bounds a preview, in bytes.
const maxDiff = 64 << 10

// Diff is a unified diff of two states of one object as YAML, nil for none. What
// must not be shown is hidden, so that a change of it alone makes no difference.
func Diff(before, after *unstructured.Unstructured) (string, error) {
	from, fromName, err := document(before)
	if err != nil {
		return "", err
	}
	to, toName, err := document(after)
	if err != nil {
		return "", err
	}
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: difflib.SplitLines(from), B: difflib.SplitLines(to), FromFile: fromName, ToFile: toName, Context: 3,
	})
	if err != nil {
		return "", fmt.Errorf("compare: %w", err)
	}
	if len(text) > maxDiff {
		text = Text(text[:maxDiff]) + "\n(cut)\n"
	}
	return text, nil
}

func document(o *unstructured.Unstructured) (text, name string, err error) {
	if o == nil {
		return "", "none", nil
	}
	o = Redact(o)
	delete(o.Object, "status")
	unstructured.RemoveNestedField(o.Object, "metadata", "generation")
	b, err := yaml.Marshal(o.Object)
	if err != nil {
		return "", "", fmt.Errorf("write as YAML: %w", err)
	}
	name = o.GetKind() + "/" + o.GetName()
	if o.GetNamespace() != "" {
		name = o.GetKind() + "/" + o.GetNamespace() + "/" + o.GetName()
	}
	return string(b), name, nil
}

// Previewed makes an action's preview of what Change or Apply returned.
func Previewed(before, after *unstructured.Unstructured, err error) (string, error) {
	if gone, ok := GoneResult(err); ok {
		return gone.Note, nil
	}
	if err != nil {
		return "", err
	}
	return Diff(before, after)
}
