package kubeobject

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// setByOthers says whether another manager than ours has set the field since we
// did: our own write took it from everybody else. Elements of lists are not told
// apart, for the lists concerned are owned as a whole. Of an object whose managers
// somebody has cleared nothing is known: then the values alone are compared.
func setByOthers(o *unstructured.Unstructured, f Field) bool {
	if f.Match != nil {
		return false
	}
	for _, entry := range o.GetManagedFields() {
		if entry.Manager != Manager && owns(entry, f.Path) {
			return true
		}
	}
	return false
}

// OnlyOurs says whether nobody but Riposte has written the object, apart from its status.
func OnlyOurs(o *unstructured.Unstructured) bool {
	entries := o.GetManagedFields()
	for _, entry := range entries {
		if entry.Manager != Manager && entry.Subresource != "status" {
			return false
		}
	}
	return len(entries) > 0
}

// owns looks a path up in the API's FieldsV1 format: nested objects whose keys are
// "f:" and a field's name.
func owns(entry metav1.ManagedFieldsEntry, path []string) bool {
	if entry.FieldsV1 == nil {
		return false
	}
	var at map[string]json.RawMessage
	if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &at) != nil {
		return false
	}
	for _, name := range path {
		next, ok := at["f:"+name]
		if !ok {
			return false
		}
		// An empty object here is a leaf, or a map that is owned without its keys.
		at = nil
		if json.Unmarshal(next, &at) != nil {
			return false
		}
	}
	return true
}
