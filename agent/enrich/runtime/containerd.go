package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	containers "github.com/containerd/containerd/api/services/containers/v1"
	events "github.com/containerd/containerd/api/services/events/v1"
	images "github.com/containerd/containerd/api/services/images/v1"
	namespaces "github.com/containerd/containerd/api/services/namespaces/v1"
	version "github.com/containerd/containerd/api/services/version/v1"
	"github.com/containerd/containerd/api/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"riposte/agent/event"
)

// namespaceHeader says which of containerd's namespaces a call is about.
const namespaceHeader = "containerd-namespace"

// defaultNamespace is that of ctr and nerdctl; a container of another is named with it.
const defaultNamespace = "default"

// otherwise are namespaces whose containers another API tells more of: CRI and Docker.
var otherwise = map[string]bool{"k8s.io": true, "moby": true}

// containerd is containerd's own API. It knows the containers that were made without
// CRI and Docker, such as by ctr and nerdctl.
// https://github.com/containerd/containerd/tree/main/api
type containerd struct {
	path       string
	conn       *grpc.ClientConn
	namespaces namespaces.NamespacesClient
	containers containers.ContainersClient
	images     images.ImagesClient
}

func newContainerd(path string) *containerd { return &containerd{path: path} }

func (c *containerd) open(ctx context.Context) (string, error) {
	conn, err := dial(c.path)
	if err != nil {
		return "", err
	}
	c.conn = conn
	c.namespaces, c.containers, c.images = namespaces.NewNamespacesClient(conn), containers.NewContainersClient(conn), images.NewImagesClient(conn)
	v, err := version.NewVersionClient(conn).Version(ctx, &emptypb.Empty{})
	switch {
	case status.Code(err) == codes.Unimplemented:
		return "", errOther
	case err != nil:
		return "", fmt.Errorf("containerd version: %w", err)
	}
	return "containerd without CRI, " + v.GetVersion(), nil
}

func (c *containerd) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

func within(ctx context.Context, namespace string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, namespaceHeader, namespace)
}

// own are the namespaces that are asked here.
func (c *containerd) own(ctx context.Context) ([]string, error) {
	all, err := c.namespaces.List(ctx, &namespaces.ListNamespacesRequest{})
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	var own []string
	for _, n := range all.GetNamespaces() {
		if !otherwise[n.GetName()] {
			own = append(own, n.GetName())
		}
	}
	return own, nil
}

func (c *containerd) list(ctx context.Context) ([]string, error) {
	own, err := c.own(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, namespace := range own {
		all, err := c.containers.List(within(ctx, namespace), &containers.ListContainersRequest{})
		if err != nil {
			return nil, fmt.Errorf("list containers of namespace %s: %w", namespace, err)
		}
		for _, one := range all.GetContainers() {
			ids = append(ids, qualified(namespace, one.GetID()))
		}
	}
	return ids, nil
}

// qualified is an id that no other container of the host has. Those of runtimes are random;
// one that a person chose may be in several namespaces.
func qualified(namespace, id string) string {
	if namespace == defaultNamespace || isImageID(id) {
		return id
	}
	return namespace + "/" + id
}

func (c *containerd) follow(ctx context.Context, ready func(), created func(id string)) error {
	ready() // as with CRI, there is no sign to wait for
	return subscribe(ctx, c.conn, func(e *types.Envelope) {
		if id := subject(e); id != "" && !otherwise[e.GetNamespace()] {
			created(qualified(e.GetNamespace(), id))
		}
	}, `topic=="`+topicCreate+`"`, `topic=="/tasks/create"`)
}

// topicCreate is that of the event that a container's record was made.
const topicCreate = "/containers/create"

// subscribe hands over the events that one of the filters lets through until ctx ends or
// the stream fails.
func subscribe(ctx context.Context, conn *grpc.ClientConn, take func(*types.Envelope), filters ...string) error {
	stream, err := events.NewEventsClient(conn).Subscribe(ctx, &events.SubscribeRequest{Filters: filters})
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	for {
		e, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return errGone
		case err != nil:
			return fmt.Errorf("events: %w", err)
		}
		take(e)
	}
}

func (c *containerd) inspect(ctx context.Context, id string) (*event.Container, error) {
	namespace, name, ok := strings.Cut(id, "/")
	own := []string{namespace}
	switch {
	case isImageID(id):
		name = id
		var err error
		if own, err = c.own(ctx); err != nil {
			return nil, criError(err)
		}
	case !ok:
		own, name = []string{defaultNamespace}, id
	}
	for _, namespace := range own {
		reply, err := c.containers.Get(within(ctx, namespace), &containers.GetContainerRequest{ID: name})
		if err != nil {
			if err = criError(err); errors.Is(err, errNotFound) {
				continue
			}
			return nil, err
		}
		found := containerdRecord(reply.GetContainer())
		return found, c.identify(within(ctx, namespace), found)
	}
	return nil, errNotFound
}

// identify adds the image's digest. The image may have been removed while its
// container runs.
func (c *containerd) identify(ctx context.Context, found *event.Container) error {
	if found.Image == "" {
		return nil
	}
	reply, err := c.images.Get(ctx, &images.GetImageRequest{Name: found.Image})
	if err != nil {
		if err = criError(err); errors.Is(err, errNotFound) {
			return nil
		}
		return err
	}
	found.ImageDigest = reply.GetImage().GetTarget().GetDigest()
	return nil
}
