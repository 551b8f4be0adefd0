package kubeobject

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// Field is one value inside an object, and what it is to become.
type Field struct {
	Path []string `json:"path"`
	// Match picks the element of the list at Path that has all these values.
	Match map[string]string `json:"match,omitempty"`
	// Before and After are JSON with sorted keys; null means that there is none.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after"`
}

// Want is a field that is to become v; nil takes it away.
func Want(v any, path ...string) Field { return Field{Path: path, After: encode(v)} }

// encode writes JSON with sorted keys, so that equal values are equal bytes.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // unstructured objects hold nothing else
	}
	return b
}

var null = json.RawMessage("null")

// String names the field for a person.
func (f Field) String() string {
	s := strings.Join(f.Path, ".")
	if len(f.Match) > 0 {
		s += fmt.Sprintf("[%s]", encode(f.Match))
	}
	return s
}

// read returns the field's present value.
func (f Field) read(o *unstructured.Unstructured) json.RawMessage {
	v, ok, err := unstructured.NestedFieldNoCopy(o.Object, f.Path...)
	if !ok || err != nil {
		return null
	}
	if f.Match == nil {
		return encode(v)
	}
	list, _ := v.([]any)
	if i := f.index(list); i >= 0 {
		return encode(list[i])
	}
	return null
}

func (f Field) index(list []any) int {
	for i, item := range list {
		element, _ := item.(map[string]any)
		all := element != nil
		for k, v := range f.Match {
			all = all && element[k] == v
		}
		if all {
			return i
		}
	}
	return -1
}

// write sets the field to a value, or takes it away if that is null.
func (f Field) write(o *unstructured.Unstructured, raw json.RawMessage) error {
	var v any
	if err := utiljson.Unmarshal(raw, &v); err != nil {
		return fmt.Errorf("read the value of %s: %w", f, err)
	}
	if f.Match != nil {
		list, _, err := unstructured.NestedSlice(o.Object, f.Path...)
		if err != nil {
			return err
		}
		switch i := f.index(list); {
		case i >= 0 && v == nil:
			list = append(list[:i], list[i+1:]...)
		case i >= 0:
			list[i] = v
		case v != nil:
			list = append(list, v)
		}
		if len(list) > 0 {
			return unstructured.SetNestedSlice(o.Object, list, f.Path...)
		}
		v = nil
	}
	if v == nil {
		unstructured.RemoveNestedField(o.Object, f.Path...)
		return nil
	}
	return unstructured.SetNestedField(o.Object, v, f.Path...)
}

// Image is how the fields were that an action changed, and what it made of them.
type Image struct {
	// ID is the action's.
	ID     string  `json:"id"`
	Fields []Field `json:"fields"`
	// Note is what the type of action itself wants to remember.
	Note string `json:"note,omitempty"`
}

// markKey is the annotation in which the latest action of a type notes its Image.
func markKey(kind string) string { return "riposte.dev/" + strings.ReplaceAll(kind, "_", "-") }

// Marked is the Image that the action of this id and type has noted on the object.
func Marked(o *unstructured.Unstructured, kind, id string) (Image, bool) {
	var image Image
	text, ok := o.GetAnnotations()[markKey(kind)]
	if !ok || id == "" || json.Unmarshal([]byte(text), &image) != nil || image.ID != id {
		return Image{}, false
	}
	return image, true
}

// Mark notes the Image on the object.
func (i Image) Mark(o *unstructured.Unstructured, kind string) {
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[markKey(kind)] = string(encode(i))
	o.SetAnnotations(annotations)
}

// Unmark takes away what the action of this id noted, and nothing of another's.
func Unmark(o *unstructured.Unstructured, kind, id string) {
	if _, ok := Marked(o, kind, id); !ok {
		return
	}
	annotations := o.GetAnnotations()
	delete(annotations, markKey(kind))
	o.SetAnnotations(annotations)
}

// Set gives the fields of the object that are not as wanted their values and
// notes the Image on it.
func Set(o *unstructured.Unstructured, kind, id string, want []Field) (Image, error) {
	image := Image{ID: id}
	for _, f := range want {
		if f.Before = f.read(o); bytes.Equal(f.Before, f.After) {
			continue
		}
		if err := f.write(o, f.After); err != nil {
			return image, Permanent("%w", err)
		}
		image.Fields = append(image.Fields, f)
	}
	if len(image.Fields) > 0 {
		image.Mark(o, kind)
	}
	return image, nil
}

// Restore gives the fields of the Image back what they held, where they still
// hold what the action gave them and nobody else has set them since. It returns
// the fields that it left alone.
func Restore(o *unstructured.Unstructured, kind string, image Image) (left []Field, err error) {
	for _, f := range image.Fields {
		now := f.read(o)
		switch {
		case bytes.Equal(now, f.Before):
		case !bytes.Equal(now, f.After), setByOthers(o, f):
			left = append(left, f)
		default:
			if err := f.write(o, f.Before); err != nil {
				return left, Permanent("%w", err)
			}
		}
	}
	Unmark(o, kind, image.ID)
	return left, nil
}

// Missing returns the fields that are not as wanted.
func Missing(o *unstructured.Unstructured, want []Field) (missing []Field) {
	for _, f := range want {
		if !bytes.Equal(f.read(o), f.After) {
			missing = append(missing, f)
		}
	}
	return missing
}
