package accept_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/utils/ptr"
)

const image = "riposte.local/probe:1"

// cluster is the cluster that the test runs in.
type cluster struct {
	config *rest.Config
	*kubernetes.Clientset
}

// inside skips where there is no cluster around the test.
func inside(t *testing.T) *cluster {
	t.Helper()
	if os.Getenv("RIPOSTE_ACCEPT") == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("this test runs inside the local cluster: make e2e-cluster")
		}
		t.Skip("this test runs inside the local cluster: make e2e-cluster")
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	require.NoError(t, err)
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return &cluster{config, client}
}

// eventually asks until the answer is yes. On a busy machine everything takes its time:
// how long is not what is tested here.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !ask(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within three minutes: %s", what)
		}
	}
}

// command runs a program of this machine.
func command(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	require.NoError(t, err, "%s %q: %s", program, args, out)
	return string(out)
}

func (c *cluster) namespace(t *testing.T, name string) {
	t.Helper()
	_, err := c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		if !t.Failed() { // else it is there to be looked at
			_ = c.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{})
		}
	})
	eventually(t, "a service account in "+name, func() bool {
		_, err := c.CoreV1().ServiceAccounts(name).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
}

// deploy starts one replica of the probe under a controller.
func (c *cluster) deploy(t *testing.T, namespace, name string, security *corev1.SecurityContext, command ...string) {
	t.Helper()
	labels := map[string]string{"app": name, "tier": "attacked"}
	_, err := c.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: ptr.To(int64(1)),
					Containers: []corev1.Container{{
						Name: "probe", Image: image, Command: command,
						SecurityContext: security,
					}},
				},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// pod is the Deployment's one pod, once it is ready.
func (c *cluster) pod(t *testing.T, namespace, name string) (pod corev1.Pod) {
	t.Helper()
	eventually(t, "a ready pod of "+namespace+"/"+name, func() bool {
		pods, err := c.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + name})
		if err != nil || len(pods.Items) != 1 || !ready(pods.Items[0]) {
			return false
		}
		pod = pods.Items[0]
		return true
	})
	return pod
}

func ready(pod corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// containerOf is the id of the pod's one container.
func containerOf(pod corev1.Pod) string {
	return strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "containerd://")
}

// gone says whether no pod of this name has this UID any more.
func (c *cluster) gone(t *testing.T, pod corev1.Pod) bool {
	t.Helper()
	now, err := c.CoreV1().Pods(pod.Namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
	return apierrors.IsNotFound(err) || err == nil && now.UID != pod.UID
}

// in runs a command in a pod, as kubectl exec does; with a terminal, as kubectl exec
// -it does, what is typed is its standard input. It returns when the command ends.
func (c *cluster) in(ctx context.Context, pod corev1.Pod, typed string, out io.Writer, command ...string) error {
	request := c.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: "probe", Command: command, Stdin: typed != "", Stdout: true, Stderr: typed == "", TTY: typed != "",
		}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(c.config, "GET", request.URL().String())
	if err != nil {
		return err
	}
	options := remotecommand.StreamOptions{Stdout: out, Stderr: out}
	if typed != "" {
		options.Stdin, options.Stderr, options.Tty = strings.NewReader(typed), nil, true
	}
	return executor.StreamWithContext(ctx, options)
}

// run is in, for commands that have to succeed.
func (c *cluster) run(t *testing.T, pod corev1.Pod, command ...string) string {
	t.Helper()
	var out bytes.Buffer
	err := c.in(t.Context(), pod, "", &out, command...)
	require.NoError(t, err, "%s: %q: %s", pod.Name, command, out.String())
	return out.String()
}

// background is in, for commands that go on until the test ends.
func (c *cluster) background(t *testing.T, pod corev1.Pod, out io.Writer, command ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = c.in(ctx, pod, "", out, command...) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

// attack is in, for commands whose pod may end before they do.
func (c *cluster) attack(t *testing.T, pod corev1.Pod, typed string, command ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := c.in(ctx, pod, typed, &out, command...); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Logf("%s: %q: %v: %s", pod.Name, command, err, out.String())
	}
}

func (c *cluster) address(pod corev1.Pod, port int) string {
	return fmt.Sprintf("%s:%d", pod.Status.PodIP, port)
}
