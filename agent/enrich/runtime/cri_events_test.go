//go:build linux

package runtime_test

import (
	"cmp"
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"riposte/agent/enrich/runtime"
	"riposte/agent/enrich/runtime/runtimetest"
)

// criServer speaks CRI over a real socket. It is here for the events alone: Debian's
// containerd (1.6) has none, 1.7 and CRI-O have; TestCRI asks the real one for all else.
type criServer struct {
	cri.UnimplementedRuntimeServiceServer
	cri.UnimplementedImageServiceServer

	socket string
	// silent says that it has its events switched off, as CRI-O does.
	silent bool
	// name is what it says it is, "cri-o" by default.
	name string

	mu      sync.Mutex
	opened  int
	names   map[string]string // by id
	lists   int
	streams []chan *cri.ContainerEventResponse
}

// serve runs it until the returned function is called.
func (s *criServer) serve(t *testing.T) (stop func()) {
	listener, err := net.Listen("unix", s.socket)
	require.NoError(t, err)
	server := grpc.NewServer()
	cri.RegisterRuntimeServiceServer(server, s)
	cri.RegisterImageServiceServer(server, s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	stop = sync.OnceFunc(func() { server.Stop(); <-ended })
	t.Cleanup(stop)
	return stop
}

// make adds a container and tells of it whoever listens.
func (s *criServer) make(id, name string, kind cri.ContainerEventType) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[id] = name
	for _, stream := range s.streams {
		stream <- &cri.ContainerEventResponse{ContainerId: id, ContainerEventType: kind, CreatedAt: time.Now().UnixNano()}
	}
}

func (s *criServer) counts() (lists, streams int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists, len(s.streams)
}

func (s *criServer) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	return &cri.VersionResponse{Version: "0.1.0", RuntimeName: cmp.Or(s.name, "cri-o"), RuntimeVersion: "1.30.0", RuntimeApiVersion: "v1"}, nil
}

func (s *criServer) ListContainers(context.Context, *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	all := &cri.ListContainersResponse{}
	for id := range s.names {
		all.Containers = append(all.Containers, &cri.Container{Id: id})
	}
	return all, nil
}

func (s *criServer) ListPodSandbox(context.Context, *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	return &cri.ListPodSandboxResponse{}, nil
}

func (s *criServer) ContainerStatus(_ context.Context, r *cri.ContainerStatusRequest) (*cri.ContainerStatusResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok := s.names[r.GetContainerId()]
	if !ok {
		return nil, status.Error(codes.NotFound, "no such container")
	}
	return &cri.ContainerStatusResponse{Status: &cri.ContainerStatus{Id: r.GetContainerId(), Metadata: &cri.ContainerMetadata{Name: name}}}, nil
}

func (s *criServer) PodSandboxStatus(context.Context, *cri.PodSandboxStatusRequest) (*cri.PodSandboxStatusResponse, error) {
	return nil, status.Error(codes.NotFound, "no such sandbox")
}

func (s *criServer) ImageStatus(context.Context, *cri.ImageStatusRequest) (*cri.ImageStatusResponse, error) {
	return &cri.ImageStatusResponse{}, nil
}

func (s *criServer) GetContainerEvents(_ *cri.GetEventsRequest, out grpc.ServerStreamingServer[cri.ContainerEventResponse]) error {
	if s.silent {
		return status.Error(codes.Unknown, "container events are disabled")
	}
	events := make(chan *cri.ContainerEventResponse, 16)
	s.mu.Lock()
	s.streams = append(s.streams, events)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.streams = nil
	}()
	for {
		select {
		case <-out.Context().Done():
			return out.Context().Err()
		case e := <-events:
			if err := out.Send(e); err != nil {
				return err
			}
		}
	}
}

// TestCRIEvents: where the runtime tells of its containers nobody asks for its list
// again, and a runtime that was away is listed and listened to anew.
func TestCRIEvents(t *testing.T) {
	s := &criServer{socket: filepath.Join(t.TempDir(), "crio.sock"), names: map[string]string{"a": "first"}}
	stop := s.serve(t)
	var h heard
	follow(t, runtime.Options{CRI: []string{s.socket}, Docker: []string{}, Tell: h.tell})
	require.Equal(t, "first", h.last(t, "a").Facts.Name)
	require.Equal(t, "cri-o", h.last(t, "a").Facts.Type)
	listening := func() bool { _, streams := s.counts(); return streams == 1 }
	require.Eventually(t, listening, 20*time.Second, time.Millisecond)

	s.make("b", "created", cri.ContainerEventType_CONTAINER_CREATED_EVENT)
	require.Equal(t, "created", h.last(t, "b").Facts.Name)
	s.make("c", "started", cri.ContainerEventType_CONTAINER_STARTED_EVENT)
	require.Equal(t, "started", h.last(t, "c").Facts.Name)
	s.make("d", "stopped", cri.ContainerEventType_CONTAINER_STOPPED_EVENT)
	s.make("e", "last", cri.ContainerEventType_CONTAINER_CREATED_EVENT)
	h.last(t, "e")
	_, told := h.newest("d")
	require.False(t, told, "an end tells nothing new")
	lists, _ := s.counts()
	require.Equal(t, 1, lists, "it was not asked for its list again")

	stop()
	s.mu.Lock()
	s.names["f"] = "made meanwhile"
	s.mu.Unlock()
	s.serve(t)
	require.Equal(t, "made meanwhile", h.last(t, "f").Facts.Name)
	require.Eventually(t, listening, 20*time.Second, time.Millisecond)
	s.make("g", "after", cri.ContainerEventType_CONTAINER_CREATED_EVENT)
	require.Equal(t, "after", h.last(t, "g").Facts.Name)
}

// TestCRIWithoutEvents is a runtime that has them switched off, and one that says it is
// containerd and has CRI alone: it is asked now and then, over the one connection.
func TestCRIWithoutEvents(t *testing.T) {
	for _, name := range []string{"cri-o", "containerd"} {
		t.Run(name, func(t *testing.T) {
			s := &criServer{socket: filepath.Join(t.TempDir(), "s"), silent: true, name: name, names: map[string]string{"a": "first"}}
			s.serve(t)
			var h heard
			follow(t, runtime.Options{CRI: []string{s.socket}, Docker: []string{}, Tell: h.tell})
			h.last(t, "a")
			s.make("b", "later", cri.ContainerEventType_CONTAINER_CREATED_EVENT)
			require.Equal(t, "later", h.last(t, "b").Facts.Name)
			lists, _ := s.counts()
			require.Greater(t, lists, 1)
			s.mu.Lock()
			defer s.mu.Unlock()
			require.Equal(t, 1, s.opened)
		})
	}
}

// TestDefaultSockets: a runtime is found at each of the usual places, and where several
// listen each is asked. The real containerd stands behind all of them.
func TestDefaultSockets(t *testing.T) {
	require.Equal(t, []string{"/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock", "/run/crio/crio.sock", "/run/host-containerd/containerd.sock"}, runtime.DefaultCRI)
	d := runtimetest.Containerd(t)
	pod := d.RunPod(t, "front")
	root, err := os.MkdirTemp("", "r") // a socket's path is short
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	var places []string
	for _, p := range runtime.DefaultCRI {
		places = append(places, root+p)
	}
	for _, there := range append(places, "all") {
		for _, p := range places {
			require.NoError(t, os.RemoveAll(p))
			if p == there || there == "all" {
				require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
				require.NoError(t, os.Symlink(d.Socket, p))
			}
		}
		t.Run(filepath.Base(filepath.Dir(there))+"/"+filepath.Base(there), func(t *testing.T) {
			var h heard
			l := follow(t, runtime.Options{CRI: places, Docker: []string{}, Tell: h.tell})
			require.Equal(t, "front", h.last(t, pod.ID).Facts.Pod.Name)
			require.True(t, l.Ask(pod.ID, false))
		})
	}
}
