package accept_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

// Short pods, as many at a time as a small node starts, of so many images.
const (
	shortPods = 200
	perWave   = 40
	tenants   = 8
)

// firstRule is the rule that the first thing that each of them does breaks.
const firstRule = "Sensitive file read by an unexpected program in a container"

// firstMinute starts short pods of different images and labels. What the first process
// of each does first is suspicious, so that its alert is about a container some
// milliseconds old: it must name all that an alert about an old one does.
func (c *cluster) firstMinute(t *testing.T, own *client.Client) {
	const namespace = "first-minute"
	c.namespace(t, namespace)
	var lacking []string
	var took []time.Duration
	for first := 0; first < shortPods; first += perWave {
		pods := c.short(t, namespace, first)
		for _, pod := range pods {
			a, body := c.firstAlert(t, own, pod)
			took = append(took, time.Duration(body.Riposte.AlertTimeNS-body.Riposte.KernelTimeNS))
			if what := lacks(a, body, pod); len(what) > 0 {
				lacking = append(lacking, fmt.Sprintf("%s of %s: %s", pod.Name, body.Riposte.Container.Image, strings.Join(what, ", ")))
			}
		}
		err := c.CoreV1().Pods(namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
		require.NoError(t, err)
	}
	slices.Sort(took)
	t.Logf("%d of %d alerts of a container's first milliseconds name everything: %.1f %%; from the system call to the alert %s in the middle, %s at most",
		shortPods-len(lacking), shortPods, 100*float64(shortPods-len(lacking))/shortPods, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	require.Empty(t, lacking)
}

// short runs a wave of short pods and returns them as they are when they have ended.
func (c *cluster) short(t *testing.T, namespace string, first int) (ended []corev1.Pod) {
	t.Helper()
	for i := first; i < first+perWave; i++ {
		// The probe takes some milliseconds to its first line, cat less than one.
		command := []string{"probe", "attack", "read", "/etc/shadow"}
		if i%2 == 0 {
			command = []string{"cat", "/etc/shadow"}
		}
		name := fmt.Sprintf("short-%03d", i)
		_, err := c.CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name, "wave": strconv.Itoa(first), "team": fmt.Sprintf("team-%d", i%7)}},
			Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers: []corev1.Container{{
					Name: fmt.Sprintf("worker-%d", i%3), Image: fmt.Sprintf("riposte.local/tenant-%d:1", 1+i%tenants), Command: command,
				}},
			},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	eventually(t, fmt.Sprintf("the end of the pods from %d on", first), func() bool {
		list, err := c.CoreV1().Pods(namespace).List(context.WithoutCancel(t.Context()), metav1.ListOptions{LabelSelector: fmt.Sprintf("wave=%d", first)})
		if err != nil {
			return false
		}
		ended = slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
			return pod.Status.Phase != corev1.PodSucceeded || len(pod.Status.ContainerStatuses) != 1 || pod.Status.ContainerStatuses[0].ContainerID == ""
		})
		return len(ended) == perWave
	})
	return ended
}

// firstAlert waits for the alert about a pod's container, whatever else it names.
func (c *cluster) firstAlert(t *testing.T, own *client.Client, pod corev1.Pod) (found api.Alert, body alert.Alert) {
	t.Helper()
	id := strings.TrimPrefix(pod.Status.ContainerStatuses[0].ContainerID, "containerd://")
	eventually(t, "the alert about "+pod.Name, func() bool {
		page, err := own.Alerts(t.Context(), client.AlertFilter{Rule: firstRule, Limit: 500})
		if err != nil {
			return false
		}
		i := slices.IndexFunc(page.Items, func(a api.Alert) bool {
			body = alert.Alert{}
			require.NoError(t, json.Unmarshal(a.Body, &body))
			return body.Riposte.Container != nil && body.Riposte.Container.ID == id
		})
		if i >= 0 {
			found = page.Items[i]
		}
		return i >= 0
	})
	return found, body
}

// lacks says what an alert does not name, or not as it is.
func lacks(a api.Alert, body alert.Alert, pod corev1.Pod) (what []string) {
	same := func(name string, is, want any) {
		if fmt.Sprint(is) != fmt.Sprint(want) {
			what = append(what, fmt.Sprintf("%s is %v, not %v", name, is, want))
		}
	}
	container := pod.Spec.Containers[0]
	repository, tag, _ := strings.Cut(container.Image, ":")
	known := cmp.Or(body.Riposte.Pod, &alert.Pod{})
	same("binding", a.Binding, "bound")
	same("namespace", known.Namespace, pod.Namespace)
	same("pod", known.Name, pod.Name)
	same("uid", known.UID, pod.UID)
	same("labels", known.Labels, pod.Labels)
	same("container", body.Riposte.Container.Name, container.Name)
	same("image", body.Riposte.Container.Image, container.Image)
	same("missing metadata", body.Riposte.Container.MetadataMissing, false)
	for field, want := range map[string]string{
		"container.name": container.Name, "container.image.repository": repository, "container.image.tag": tag,
		"k8s.ns.name": pod.Namespace, "k8s.pod.name": pod.Name, "k8s.pod.uid": string(pod.UID),
	} {
		same(field, body.OutputFields[field], want)
	}
	labels, _ := body.OutputFields["k8s.pod.labels"].(string)
	for key, value := range pod.Labels {
		if !strings.Contains(labels, key) || !strings.Contains(labels, value) {
			what = append(what, fmt.Sprintf("k8s.pod.labels is %q, without %s", labels, key))
		}
	}
	// The runtime has a digest for what it pulled, or was given one with.
	if _, digest, ok := strings.Cut(pod.Status.ContainerStatuses[0].ImageID, "@"); ok {
		same("container.image.digest", body.OutputFields["container.image.digest"], digest)
	}
	return what
}
