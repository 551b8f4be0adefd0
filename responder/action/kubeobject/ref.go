package kubeobject

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"riposte/responder/action"
)

// Ref names one object of the API. Make one with RefOf, To or Namespaced.
type Ref struct {
	Resource             schema.GroupVersionResource
	Namespace, Name, UID string
	// uid is UID as the API's preconditions want it.
	uid types.UID
}

// Resources as action.Target.Resource writes them.
const (
	Pods            = "v1/pods"
	Nodes           = "v1/nodes"
	Namespaces      = "v1/namespaces"
	Events          = "v1/events"
	Services        = "v1/services"
	Deployments     = "apps/v1/deployments"
	StatefulSets    = "apps/v1/statefulsets"
	DaemonSets      = "apps/v1/daemonsets"
	ReplicaSets     = "apps/v1/replicasets"
	Revisions       = "apps/v1/controllerrevisions"
	Controllers     = "v1/replicationcontrollers"
	Jobs            = "batch/v1/jobs"
	CronJobs        = "batch/v1/cronjobs"
	NetworkPolicies = "networking.k8s.io/v1/networkpolicies"
)

// Workloads are the resources of pods' controllers.
var Workloads = []string{Deployments, StatefulSets, DaemonSets, ReplicaSets, Controllers, Jobs, CronJobs}

// To makes a Ref of a resource written as group/version/resource, and panics if it
// is none: that is a programming error.
func To(resource, namespace, name, uid string) Ref {
	gvr, err := parseResource(resource)
	if err != nil {
		panic(err)
	}
	return Ref{Resource: gvr, Namespace: namespace, Name: name, UID: uid, uid: types.UID(uid)}
}

// RefOf is the object that a target means. The target must have been checked.
func RefOf(t action.Target) (Ref, error) {
	resource := t.Resource
	switch t.Kind {
	case action.KindPod:
		resource = Pods
	case action.KindNode:
		resource = Nodes
	}
	gvr, err := parseResource(resource)
	if err != nil {
		return Ref{}, &action.Error{Kind: action.Permanent, Err: fmt.Errorf("target.resource: %w", err)}
	}
	ref := Ref{Resource: gvr, Namespace: t.Namespace, Name: t.Name, UID: t.UID, uid: types.UID(t.UID)}
	if resource == Namespaces {
		ref.Namespace = "" // to the guard a namespace is in itself, to the API in none
	}
	return ref, nil
}

var resourceShape = regexp.MustCompile(`^(?:([a-z][a-z0-9.-]{0,200})/)?(v[0-9][a-z0-9]{0,20})/([a-z]{1,60})$`)

func parseResource(s string) (schema.GroupVersionResource, error) {
	m := resourceShape.FindStringSubmatch(s)
	if m == nil {
		return schema.GroupVersionResource{}, fmt.Errorf("%.80q is no group/version/resource, such as apps/v1/deployments or v1/services", s)
	}
	return schema.GroupVersionResource{Group: m[1], Version: m[2], Resource: m[3]}, nil
}

// Singular is the resource's name for a sentence.
func (r Ref) Singular() string {
	if s, ok := strings.CutSuffix(r.Resource.Resource, "ies"); ok {
		return s + "y"
	}
	if s, ok := strings.CutSuffix(r.Resource.Resource, "sses"); ok {
		return s + "ss"
	}
	return strings.TrimSuffix(r.Resource.Resource, "s")
}

func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Singular() + " " + r.Name
	}
	return r.Singular() + " " + r.Namespace + "/" + r.Name
}

// permission is a verb on the resource as action.ParsePermission reads it.
func (r Ref) permission(verb string) string {
	s := verb + " " + r.Resource.Resource
	if r.Resource.Group != "" {
		s += "." + r.Resource.Group
	}
	return s
}

// Permissions are the verbs (parted by a blank) on each of the resources.
func Permissions(verbs string, resources ...string) []string {
	var out []string
	for _, r := range resources {
		for verb := range strings.FieldsSeq(verbs) {
			out = append(out, To(r, "", "", "").permission(verb))
		}
	}
	return out
}

// uidShape is how Kubernetes writes UIDs: mostly a UUID, for a pod that a kubelet
// read from a file a hash. It is a label's value and part of a name with us.
var uidShape = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// Check demands a target's whole identity, one of the action's kinds and, of a
// workload or another object, one of the resources. Its errors name the key.
func Check(s action.Spec, t action.Target, resources ...string) error {
	if kinds := s.Kinds(); !slices.Contains(kinds, t.Kind) {
		return fmt.Errorf("target.kind: %s acts on a %s, not on a %.60q", s.Type, strings.Join(kinds, " or "), t.Kind)
	}
	clusterWide := t.Kind == action.KindNode
	switch t.Kind {
	case action.KindWorkload, action.KindObject:
		if !slices.Contains(resources, t.Resource) {
			return fmt.Errorf("target.resource: %.80q: %s acts on %s", t.Resource, s.Type, strings.Join(resources, ", "))
		}
	default:
		if t.Resource != "" {
			return fmt.Errorf("target.resource: a %s has none", t.Kind)
		}
	}
	if clusterWide && t.Namespace != "" {
		return errors.New("target.namespace: a node is in none")
	}
	if t.Resource == Namespaces && t.Namespace != t.Name {
		return fmt.Errorf("target.namespace: a namespace counts as being in itself, not in %.80q", t.Namespace)
	}
	if wrong := validation.IsDNS1123Label(t.Namespace); !clusterWide && len(wrong) > 0 {
		return fmt.Errorf("target.namespace: %.80q: %s", t.Namespace, strings.Join(wrong, "; "))
	}
	if wrong := validation.IsDNS1123Subdomain(t.Name); len(wrong) > 0 {
		return fmt.Errorf("target.name: %.80q: %s", t.Name, strings.Join(wrong, "; "))
	}
	if !uidShape.MatchString(t.UID) {
		return fmt.Errorf("target.uid: %.80q is no UID; a name alone does not tell an object from its successor", t.UID)
	}
	return nil
}
