package ingest

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"riposte/responder/action"
	"riposte/responder/playbook"
)

// Places knows the UIDs of what an alert is about besides its pod. What it does not
// know playbooks cannot act on. It is asked from several goroutines.
type Places interface {
	// Node is the UID of a node, empty if it is not known.
	Node(ctx context.Context, name string) string
	// Namespace is the UID of a namespace, empty if it is not known.
	Namespace(ctx context.Context, name string) string
	// Workload is what the pod is a replica of, nil if it is not known.
	Workload(ctx context.Context, pod *playbook.Pod) *playbook.Workload
}

// locateAtOnce is how many alerts' places are asked for at a time: those of a batch may
// come from as many nodes.
const locateAtOnce = 16

func (in *Ingest) locateAll(ctx context.Context, drafts []draft) {
	var all errgroup.Group
	all.SetLimit(locateAtOnce)
	for i := range drafts {
		all.Go(func() error { in.locate(ctx, &drafts[i]); return nil })
	}
	_ = all.Wait() // what is not known is left out
}

// locate tells the playbooks where the alert comes from.
func (in *Ingest) locate(ctx context.Context, d *draft) {
	if in.Places == nil || d.origin.Cluster != in.Cluster {
		return
	}
	d.input.Node.UID = in.Places.Node(ctx, d.origin.Node)
	if d.binding == playbook.Bound {
		d.input.Namespace = &playbook.Identified{Name: d.pod.Namespace, UID: in.Places.Namespace(ctx, d.pod.Namespace)}
		d.input.Workload = in.Places.Workload(ctx, d.pod)
	}
}

// around finds what a proposal means beside the alert's own container and pod: its
// process, its node, the pod's workload and other objects of the pod's namespace.
// Node and workload must be those that the API server named; whether the guard
// lets an object be touched is the guard's to say.
func (d *draft) around(said action.Target) (action.Target, error) {
	switch said.Kind {
	case action.KindProcess:
		p := d.alert.Riposte.Process
		if d.alert.Riposte.Intake != "" { // a node must vouch for it
			return said, errors.New("the alert comes from no node's agent")
		}
		if p == nil || said.PID != p.PID || said.ProcessNS != p.StartNS {
			return said, errors.New("the target is not the alert's own process")
		}
		return said, nil
	case action.KindNode:
		said.Node = ""
		if n := d.input.Node; n.UID == "" || said.Name != n.Name || said.UID != n.UID {
			return said, errors.New("the target is not the alert's own node, as the API server knows it")
		}
		return said, nil
	case action.KindWorkload:
		said.Node = ""
		w := d.input.Workload
		if w == nil || said.Resource != w.Resource || said.Namespace != w.Namespace || said.Name != w.Name || said.UID != w.UID {
			return said, errors.New("the target is not the workload of the alert's own pod, as the API server knows it")
		}
		return said, nil
	case action.KindObject:
		said.Node = ""
		own, ok := d.boundPod()
		if !ok {
			return said, fmt.Errorf("the alert is %s: only a pod that is known on the alert's node has a namespace to act in", d.binding)
		}
		if said.Resource == "v1/namespaces" && (d.input.Namespace == nil || said.Name != own.Namespace || said.UID != d.input.Namespace.UID) {
			return said, errors.New("the target is not the namespace of the alert's own pod, as the API server knows it")
		}
		if said.Namespace != own.Namespace {
			return said, fmt.Errorf("the target is not in the namespace of the alert's own pod, %s", own.Namespace)
		}
		return said, nil
	}
	return said, fmt.Errorf("target.kind: %.60q is no kind of target", said.Kind)
}
