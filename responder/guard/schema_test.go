package guard

import (
	"reflect"
	"testing"

	"riposte/playbooks/schematest"
)

// What the schema lacks no guard rule can use.
func TestSchemaIsTheInput(t *testing.T) {
	schematest.Same(t, "guard", reflect.TypeFor[input]())
}
