package runtime

import (
	"context"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Where containerd keeps what was made through CRI, and the label by which it tells a
// pod's sandbox from a container.
const (
	criNamespace = "k8s.io"
	criKind      = "io.cri-containerd.kind"
	criSandbox   = "sandbox"
)

// announce tells of each container that is created, by containerd's own events: its CRI
// has none up to 1.6. It is made a good while before kubelet has it started, and so it is
// known before its first program runs. Of a sandbox CRI has no record before it runs.
func (c *criEngine) announce(ctx context.Context, created func(id string)) error {
	if c.kind != "containerd" {
		return nil
	}
	err := subscribe(ctx, c.conn, func(e *types.Envelope) {
		if id := subject(e); id != "" && !c.isSandbox(ctx, id) {
			created(id)
		}
	}, `namespace=="`+criNamespace+`",topic=="`+topicCreate+`"`)
	switch status.Code(err) {
	case codes.Unimplemented, codes.PermissionDenied:
		return nil // who listens here has CRI alone
	}
	return err
}

func (c *criEngine) isSandbox(ctx context.Context, id string) bool {
	ctx, cancel := context.WithTimeout(within(ctx, criNamespace), callTimeout)
	defer cancel()
	made, err := containers.NewContainersClient(c.conn).Get(ctx, &containers.GetContainerRequest{ID: id})
	return err == nil && made.GetContainer().GetLabels()[criKind] == criSandbox
}
