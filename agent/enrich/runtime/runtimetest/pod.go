//go:build linux

package runtimetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Pod is a sandbox that RunPod has made.
type Pod struct {
	ID     string
	Config *cri.PodSandboxConfig

	api cri.RuntimeServiceClient
}

// RunPod starts a pod's sandbox in the host's network, in namespace shop, as kubelet
// would, with changes if any. It is removed at the test's end.
func (d *Daemon) RunPod(t *testing.T, name string, changes ...func(*cri.PodSandboxConfig)) *Pod {
	conn, err := grpc.NewClient("unix://"+d.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	uid := "uid-of-" + name
	p := &Pod{api: cri.NewRuntimeServiceClient(conn), Config: &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "shop", Uid: uid},
		Labels:   map[string]string{"app": name, "io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": uid},
		Linux:    &cri.LinuxPodSandboxConfig{SecurityContext: &cri.LinuxSandboxSecurityContext{Privileged: true, NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE}}},
	}}
	for _, change := range changes {
		change(p.Config)
	}
	reply, err := p.api.RunPodSandbox(t.Context(), &cri.RunPodSandboxRequest{Config: p.Config})
	require.NoError(t, err)
	p.ID = reply.GetPodSandboxId()
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, err := p.api.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: p.ID})
		require.NoError(t, err)
		_, err = p.api.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: p.ID})
		require.NoError(t, err)
	})
	return p
}

// Create makes a container of Image in the pod and does not start it. It goes with
// the pod.
func (p *Pod) Create(t *testing.T, c *cri.ContainerConfig) string {
	c.Image = &cri.ImageSpec{Image: Image}
	reply, err := p.api.CreateContainer(t.Context(), &cri.CreateContainerRequest{PodSandboxId: p.ID, Config: c, SandboxConfig: p.Config})
	require.NoError(t, err)
	return reply.GetContainerId()
}

// Start starts a container that Create has made.
func (p *Pod) Start(t *testing.T, id string) {
	_, err := p.api.StartContainer(t.Context(), &cri.StartContainerRequest{ContainerId: id})
	require.NoError(t, err)
}

// Exec runs a program in a running container, as kubelet does for a probe, and ends it
// after a second.
func (p *Pod) Exec(t *testing.T, id string, argv ...string) {
	_, err := p.api.ExecSync(t.Context(), &cri.ExecSyncRequest{ContainerId: id, Cmd: argv, Timeout: 1})
	if status.Code(err) != codes.DeadlineExceeded {
		require.NoError(t, err)
	}
}
