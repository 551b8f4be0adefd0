package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"riposte/agent/event"
)

// maxMessage bounds one answer of a CRI runtime, as kubelet does.
const maxMessage = 16 << 20

// criEngine is the Kubernetes container runtime interface, version 1.
type criEngine struct {
	path     string
	conn     *grpc.ClientConn
	runtimes cri.RuntimeServiceClient
	images   cri.ImageServiceClient
	kind     string
	// boxes are sandboxes as far as their containers have it from them.
	boxes      shared[event.Container]
	identities shared[*cri.Image]
}

func dial(path string) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix://"+path,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // a unix socket
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
}

func newCRI(path string) *criEngine { return &criEngine{path: path} }

func (c *criEngine) open(ctx context.Context) (string, error) {
	conn, err := dial(c.path)
	if err != nil {
		return "", err
	}
	c.conn, c.runtimes, c.images = conn, cri.NewRuntimeServiceClient(conn), cri.NewImageServiceClient(conn)
	v, err := c.runtimes.Version(ctx, &cri.VersionRequest{})
	if err != nil {
		return "", fmt.Errorf("CRI version: %w", err)
	}
	c.kind = v.GetRuntimeName() // "containerd" or "cri-o", which are Falco's names too
	return c.kind + " " + v.GetRuntimeVersion(), nil
}

func (c *criEngine) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

func (c *criEngine) list(ctx context.Context) ([]string, error) {
	containers, err := c.runtimes.ListContainers(ctx, &cri.ListContainersRequest{})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	sandboxes, err := c.runtimes.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return nil, fmt.Errorf("list sandboxes: %w", err)
	}
	var ids []string
	for _, one := range containers.GetContainers() {
		ids = append(ids, one.GetId())
	}
	for _, one := range sandboxes.GetItems() {
		ids = append(ids, one.GetId())
	}
	return ids, nil
}

func (c *criEngine) follow(ctx context.Context, ready func(), created func(id string)) error {
	stream, err := c.runtimes.GetContainerEvents(ctx, &cri.GetEventsRequest{})
	if err != nil {
		return eventsError(err)
	}
	// An idle runtime says nothing at all, so there is no sign to wait for. Should the
	// list be faster than the stream, a container between them is still seen by its
	// cgroup.
	ready()
	for {
		e, err := stream.Recv()
		if err != nil {
			return eventsError(err)
		}
		switch e.GetContainerEventType() {
		case cri.ContainerEventType_CONTAINER_CREATED_EVENT, cri.ContainerEventType_CONTAINER_STARTED_EVENT:
			created(e.GetContainerId())
		}
	}
}

// eventsError tells a runtime without events from one that failed. containerd up to
// 1.6 does not know the call; CRI-O has it switched off unless told otherwise.
func eventsError(err error) error {
	switch {
	case status.Code(err) == codes.Unimplemented || status.Code(err) == codes.Unknown:
		return errNoEvents
	case errors.Is(err, io.EOF):
		return errGone
	}
	return fmt.Errorf("events: %w", err)
}

func (c *criEngine) inspect(ctx context.Context, id string) (*event.Container, error) {
	reply, err := c.runtimes.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id, Verbose: true})
	if status.Code(err) == codes.NotFound {
		return c.inspectSandbox(ctx, id)
	}
	if err != nil {
		return nil, criError(err)
	}
	info := parseInfo(reply.GetInfo())
	found := containerOf(reply.GetStatus(), info)
	found.Type = c.kind
	if err := c.identify(ctx, found, reply.GetStatus()); err != nil {
		return nil, err
	}
	if info.SandboxID == "" {
		return found, nil
	}
	box, err := c.boxes.get(info.SandboxID, func() (box event.Container, ready bool, err error) {
		reply, err := c.runtimes.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: info.SandboxID})
		inSandbox(&box, reply.GetStatus())
		return box, reply.GetStatus().GetState() == cri.PodSandboxState_SANDBOX_READY, err
	})
	switch {
	case err == nil:
		found.IP, found.HostNetwork, found.HostPID, found.HostIPC = box.IP, box.HostNetwork, box.HostPID, box.HostIPC
		if box.Pod != nil {
			found.Pod = new(*box.Pod)
		}
	case status.Code(err) != codes.NotFound:
		return nil, criError(err)
	}
	return found, nil
}

func (c *criEngine) inspectSandbox(ctx context.Context, id string) (*event.Container, error) {
	reply, err := c.runtimes.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true})
	if err != nil {
		return nil, criError(err)
	}
	found := sandboxOf(reply.GetStatus(), parseInfo(reply.GetInfo()))
	found.Type = c.kind
	return found, nil
}

// identify adds what the runtime knows of the image.
func (c *criEngine) identify(ctx context.Context, found *event.Container, s *cri.ContainerStatus) error {
	ref := s.GetImageId()
	if ref == "" {
		ref = s.GetImageRef()
	}
	known, err := c.identities.get(ref, func() (image *cri.Image, there bool, err error) {
		reply, err := c.images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: ref}})
		return reply.GetImage(), reply.GetImage() != nil, err
	})
	switch {
	case err == nil && known != nil:
		setIdentity(found, known.GetId(), known.GetRepoTags(), known.GetRepoDigests())
	case err == nil || status.Code(err) == codes.NotFound:
		setIdentity(found, s.GetImageId(), nil, []string{s.GetImageRef()})
	default:
		return criError(err)
	}
	return nil
}

// criError tells what is about one container from what is about the connection.
func criError(err error) error {
	switch status.Code(err) {
	case codes.NotFound:
		return errNotFound
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return err
	}
	return &refusal{err}
}
