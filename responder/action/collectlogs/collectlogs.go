// Package collectlogs keeps the end of a pod's logs as evidence: of each of its
// containers, and of the container's previous life if it was restarted.
package collectlogs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"riposte/responder/action"
	"riposte/responder/action/kubeobject"
)

// Type is the name that playbooks use.
const Type = "collect_logs"

// Bounds. A pod may have many containers: the total bounds them together.
const (
	defaultLines = 1000
	maxLines     = 10_000
	defaultBytes = 64 << 10
	maxBytes     = 256 << 10
	maxTotal     = 1 << 20
	// maxRead bounds what is read of one log to find its end.
	maxRead = 8 << 20
)

var spec = action.Spec{
	Type:        Type,
	Summary:     "Keep the end of the pod's logs as evidence, of each container and of its previous life. At most 1 MiB of a pod.",
	Kind:        action.KindPod,
	Permissions: append(kubeobject.Permissions("get", kubeobject.Pods), "get pods/log"),
	Params: []action.Param{
		{Name: "container", Type: "text", Default: "all", Desc: "Only this container."},
		{Name: "lines", Type: "number", Default: "1000", Desc: "How many of the last lines, from 1 to 10000."},
		{Name: "bytes", Type: "number", Default: "65536", Desc: "How many bytes of each log at most, from 1 to 262144."},
	},
	Example:   `{"lines": 500}`,
	Momentary: true,
	Stage:     action.Gather,
	Slow:      true,
}

type params struct {
	Container string `json:"container"`
	Lines     int64  `json:"lines"`
	Bytes     int64  `json:"bytes"`
}

func parse(raw json.RawMessage) (params, error) {
	p := params{Lines: defaultLines, Bytes: defaultBytes}
	if err := spec.Decode(raw, &p); err != nil {
		return p, err
	}
	if p.Lines < 1 || p.Lines > maxLines {
		return p, fmt.Errorf("params.lines: %d is not from 1 to %d", p.Lines, maxLines)
	}
	if p.Bytes < 1 || p.Bytes > maxBytes {
		return p, fmt.Errorf("params.bytes: %d is not from 1 to %d", p.Bytes, maxBytes)
	}
	return p, nil
}

// Action is the action.Action.
type Action struct {
	client *kubeobject.Client
	typed  kubernetes.Interface
}

// New makes the action; the typed client fetches the logs.
func New(client *kubeobject.Client, typed kubernetes.Interface) *Action {
	return &Action{client, typed}
}

// Spec describes the action.
func (*Action) Spec() action.Spec { return spec }

// Check demands the pod's whole identity and known params.
func (*Action) Check(t action.Target, raw json.RawMessage) error {
	if err := kubeobject.Check(spec, t); err != nil {
		return err
	}
	_, err := parse(raw)
	return err
}

// log is one container's log.
type log struct {
	Container string `json:"container"`
	// Previous marks the log of the life before the last restart.
	Previous bool `json:"previous,omitempty"`
	// Truncated says that earlier lines were left out for want of room.
	Truncated bool   `json:"truncated,omitempty"`
	Text      string `json:"text"`
	// Error is why there is no log.
	Error string `json:"error,omitempty"`
}

// Execute reads the logs. The request for a log has no precondition, so the pod is
// looked at before and after: logs of a successor of its name are thrown away. A
// container whose log cannot be read says so in the evidence; if that is each of
// them, the action has failed.
func (a *Action) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	p, err := parse(r.Params)
	if err != nil {
		return action.Result{}, &action.Error{Kind: action.Permanent, Err: err}
	}
	pod, err := a.pod(ctx, r.Target)
	if err != nil {
		return action.Result{}, err
	}
	wanted := choose(pod, p.Container)
	if len(wanted) == 0 {
		return action.Result{}, kubeobject.Permanent("params.container: the pod has no container %.80q", p.Container)
	}
	logs, kept, last := a.read(ctx, r.Target, wanted, p)
	if kept < 0 {
		return action.Result{}, last
	}
	if _, err := a.pod(ctx, r.Target); err != nil {
		return action.Result{}, err
	}
	raw, err := json.Marshal(map[string]any{"taken": time.Now().UTC(), "logs": logs})
	if err != nil {
		return action.Result{}, kubeobject.Permanent("write the evidence: %w", err)
	}
	result := kubeobject.Now(fmt.Sprintf("kept %d bytes of %d logs", kept, len(logs)))
	result.Evidence = raw
	return result, nil
}

func (a *Action) pod(ctx context.Context, t action.Target) (*unstructured.Unstructured, error) {
	ref, err := kubeobject.RefOf(t)
	if err != nil {
		return nil, err
	}
	pod, err := a.client.Get(ctx, ref)
	if gone, ok := kubeobject.GoneResult(err); ok {
		return nil, kubeobject.Permanent("there are no logs to keep: %s", gone.Note)
	}
	return pod, err
}

// choose lists the logs that there are: those of the containers, and the previous
// ones of those that were restarted.
func choose(pod *unstructured.Unstructured, only string) (logs []log) {
	for _, kind := range []struct{ spec, status string }{
		{"initContainers", "initContainerStatuses"}, {"containers", "containerStatuses"}, {"ephemeralContainers", "ephemeralContainerStatuses"},
	} {
		restarts := map[string]int64{}
		statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", kind.status)
		for _, s := range statuses {
			status, _ := s.(map[string]any)
			name, _ := status["name"].(string)
			restarts[name], _ = status["restartCount"].(int64)
		}
		containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", kind.spec)
		for _, c := range containers {
			container, _ := c.(map[string]any)
			name, _ := container["name"].(string)
			if only != "" && only != name {
				continue
			}
			logs = append(logs, log{Container: name})
			if restarts[name] > 0 {
				logs = append(logs, log{Container: name, Previous: true})
			}
		}
	}
	return logs
}

// read fills the logs. kept is how many bytes that are, -1 if not one could be
// read; last is why.
func (a *Action) read(ctx context.Context, t action.Target, wanted []log, p params) (logs []log, kept int, last error) {
	logs, kept, readable := slices.Clone(wanted), 0, 0
	for i := range logs {
		l := &logs[i]
		limit := min(p.Bytes, int64(maxTotal-kept))
		if limit <= 0 {
			l.Truncated = true
			continue
		}
		text, cut, err := a.one(ctx, t, *l, p.Lines, limit)
		if err != nil {
			last = err
			l.Error = kubeobject.Text(err.Error())
			continue
		}
		readable++
		l.Truncated, l.Text = cut, kubeobject.Text(string(text))
		kept += len(text)
	}
	if readable == 0 {
		return logs, -1, last
	}
	return logs, kept, nil
}

// one returns the end of a log, and whether there was more before it.
func (a *Action) one(ctx context.Context, t action.Target, l log, lines, limit int64) (end []byte, cut bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, kubeobject.Timeout)
	defer cancel()
	most := int64(maxRead)
	stream, err := a.typed.CoreV1().Pods(t.Namespace).GetLogs(t.Name, &corev1.PodLogOptions{
		Container: l.Container, Previous: l.Previous, TailLines: &lines, LimitBytes: &most, Timestamps: true,
	}).Stream(ctx)
	if err != nil {
		return nil, false, kubeobject.Classify("get pods/log", err)
	}
	defer stream.Close()
	// The kubelet keeps to the limit; whoever sits there instead may not.
	kept := tail{limit: int(limit)}
	if _, err := io.Copy(&kept, io.LimitReader(stream, maxRead)); err != nil {
		return nil, false, &action.Error{Kind: action.Retryable, Err: fmt.Errorf("read the log of %.80q: %w", l.Container, err)}
	}
	end, cut = kept.end()
	return end, cut, nil
}

// tail keeps the last bytes that are written to it. The API's own limit keeps the
// first ones, and an attack's traces are rather at the end.
type tail struct {
	limit int
	bytes []byte
	cut   bool
}

func (t *tail) Write(b []byte) (int, error) {
	t.bytes = append(t.bytes, b...)
	if over := len(t.bytes) - t.limit; over > t.limit {
		t.bytes = append(t.bytes[:0], t.bytes[over:]...)
		t.cut = true
	}
	return len(b), nil
}

func (t *tail) end() ([]byte, bool) {
	if over := len(t.bytes) - t.limit; over > 0 {
		return t.bytes[over:], true
	}
	return t.bytes, t.cut
}

// Preview says which logs would be kept: nothing is changed.
func (a *Action) Preview(ctx context.Context, r action.Request) (string, error) {
	p, err := parse(r.Params)
	if err != nil {
		return "", err
	}
	pod, err := a.pod(ctx, r.Target)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d logs of %s would be kept, at most %d bytes of each", len(choose(pod, p.Container)), r.Target, p.Bytes), nil
}

// Verify has nothing to look for: the logs were seen when they were read.
func (*Action) Verify(context.Context, action.Request) (time.Time, error) {
	return time.Time{}, kubeobject.Permanent("whether logs were gathered only their record says")
}
