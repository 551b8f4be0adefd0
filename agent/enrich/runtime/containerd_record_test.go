package runtime

import (
	"testing"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/anypb"

	"riposte/agent/event"
)

func TestCgroupOf(t *testing.T) {
	for given, want := range map[string]string{
		"/default/web": "/default/web", "/a//b/": "/a/b", "relative": "", "": "", "/../../x": "/x",
		"system.slice:ctr:web": "/system.slice/ctr-web.scope", ":ctr:web": "/system.slice/ctr-web.scope", "a-b.slice:ctr:web": "/a.slice/a-b.slice/ctr-web.scope",
		"system.slice::web": "/system.slice/web.scope", "system.slice:ctr:x.slice": "/system.slice/x.slice", "bad:ctr:web": "",
	} {
		require.Equal(t, want, cgroupOf(given), given)
	}
}

// TestSpecThatIsNone: a record that says nothing tells nothing.
func TestSpecThatIsNone(t *testing.T) {
	for _, text := range []string{"", "null", "[]", `{"linux":7}`, `{"process":{"env":"x"}}`} {
		c := containerdRecord(&containers.Container{ID: "web", Spec: &anypb.Any{Value: []byte(text)}})
		require.Equal(t, "web", c.Name)
		require.Equal(t, event.NotKnown, c.HostNetwork, text)
	}
}
