package drainnode

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"

	"riposte/responder/action/kubeobject"
)

// drain is one attempt.
type drain struct {
	action *Action
	params params
	// evicted are the UIDs of the pods that this attempt evicted.
	evicted map[string]bool
}

// round is what one look at the node found.
type round struct {
	// held are why pods cannot go now.
	held []string
	// staying counts the pods that are left alone, by the reason.
	staying map[string]int
	// leaving is how many pods are on their way out, and lost how many of them each
	// controller has, by its UID.
	leaving int
	lost    map[string]int64
}

func (r round) stays() string {
	if len(r.staying) == 0 {
		return ""
	}
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(r.staying)) {
		parts = append(parts, fmt.Sprintf("%d %s", r.staying[why], why))
	}
	return "; left " + strings.Join(parts, ", ")
}

// sort says which pods of the node are to go.
func (d *drain) sort(ctx context.Context, node string) (going []*unstructured.Unstructured, r round, err error) {
	r = round{staying: map[string]int{}, lost: map[string]int64{}}
	on := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()}
	err = d.action.client.List(ctx, kubeobject.To(kubeobject.Pods, "", "", ""), on, func(pod *unstructured.Unstructured) {
		switch why := d.stays(pod); {
		case why != "":
			r.staying[why]++
		case pod.GetDeletionTimestamp() != nil:
			r.leaving++
			if owner := metav1.GetControllerOf(pod); owner != nil {
				r.lost[string(owner.UID)]++
			}
		default:
			going = append(going, pod.DeepCopy())
		}
	})
	return going, r, err
}

// stays says why a pod is left alone, empty if it is to go.
func (d *drain) stays(pod *unstructured.Unstructured) string {
	owner := metav1.GetControllerOf(pod)
	phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase")
	_, mirror := pod.GetAnnotations()["kubernetes.io/config.mirror"]
	switch {
	case mirror:
		return "mirror pods"
	case owner != nil && owner.Kind == "DaemonSet":
		return "of DaemonSets"
	case d.action.protected[pod.GetNamespace()], strings.EqualFold(pod.GetLabels()["riposte.dev/protected"], "true"):
		return "protected"
	case phase == "Succeeded" || phase == "Failed":
		return "that have ended"
	case owner == nil && !d.params.Standalone:
		return "without a controller"
	}
	return ""
}

// round evicts what can go now.
func (d *drain) round(ctx context.Context, node string) (round, error) {
	going, r, err := d.sort(ctx, node)
	if err != nil {
		return r, err
	}
	for _, pod := range going {
		name := pod.GetNamespace() + "/" + pod.GetName()
		why, err := d.unhealthy(ctx, pod, &r)
		if err != nil {
			return r, err
		}
		if why != "" {
			r.held = append(r.held, name+": "+why)
			continue
		}
		err = d.action.client.Evict(ctx, kubeobject.To(kubeobject.Pods, pod.GetNamespace(), pod.GetName(), string(pod.GetUID())), kubeobject.Real, d.params.grace())
		if _, gone := kubeobject.GoneResult(err); gone {
			continue
		}
		if errors.Is(err, kubeobject.ErrBudget) {
			r.held = append(r.held, name+": "+err.Error())
			continue
		}
		if err != nil {
			return r, err
		}
		d.evicted[string(pod.GetUID())] = true
		if owner := metav1.GetControllerOf(pod); owner != nil {
			r.lost[string(owner.UID)]++
		}
	}
	return r, nil
}

// unhealthy says why min_healthy holds a pod, empty if it may go. Pods that are on
// their way out may still be counted as ready by their controller, so they are
// taken off.
func (d *drain) unhealthy(ctx context.Context, pod *unstructured.Unstructured, r *round) (string, error) {
	if d.params.min == (minimum{}) || !ready(pod) {
		return "", nil
	}
	controller, owner, err := d.action.client.ControllerOf(ctx, pod)
	if err != nil || owner == nil {
		return "", err
	}
	if controller == nil {
		return fmt.Sprintf("nobody says how many pods of %s %s are ready", owner.Kind, owner.Name), nil
	}
	want := int64(1)
	if n, ok, _ := unstructured.NestedInt64(controller.Object, "spec", "replicas"); ok {
		want = n
	}
	have, _, _ := unstructured.NestedInt64(controller.Object, "status", "readyReplicas")
	have -= r.lost[string(owner.UID)]
	if need := d.params.min.of(want); have-1 < need {
		return fmt.Sprintf("%d pods of %s %s are ready, and %d must be left", have, owner.Kind, owner.Name, need), nil
	}
	return "", nil
}

func ready(pod *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(pod.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(v any) bool {
		c, _ := v.(map[string]any)
		return c["type"] == "Ready" && c["status"] == "True"
	})
}

// minimum is how many pods must stay ready: a number, or a share in percent.
type minimum struct{ number, percent int64 }

const maxMinimum = 100_000

func parseMinimum(text string) (m minimum, err error) {
	if text == "" {
		return m, nil
	}
	digits, share := strings.CutSuffix(text, "%")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > maxMinimum || share && n > 100 {
		return m, fmt.Errorf("params.min_healthy: %.40q is neither a number nor a share from 0%% to 100%%", text)
	}
	if share {
		return minimum{percent: n}, nil
	}
	return minimum{number: n}, nil
}

// of is the number of pods, of so many that are wanted.
func (m minimum) of(want int64) int64 { return max(m.number, (want*m.percent+99)/100) }
