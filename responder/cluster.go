package responder

import (
	"context"
	"time"

	"riposte/responder/action"
	"riposte/responder/bus"
	"riposte/responder/kube"
	"riposte/responder/playbook"
)

// syncTime bounds the first list of the cluster's pods.
const syncTime = time.Minute

// startCluster connects to the cluster, if there is one, and returns what can be
// done there. It waits until the cluster's pods are known: an alert about a pod
// that is not would be bound to nothing.
func (r *Responder) startCluster(ctx context.Context) ([]action.Action, error) {
	file := r.o.Kubeconfig
	switch file {
	case "":
		return nil, nil
	case InCluster:
		file = ""
	}
	client, err := kube.Connect(ctx, file)
	if err != nil {
		return nil, err
	}
	binder, err := kube.NewBinder(client, r.o.Log)
	if err != nil {
		return nil, err
	}
	r.cleanups.add("the watch of the pods", background(binder.Run))
	ctx, cancel := context.WithTimeout(ctx, syncTime)
	defer cancel()
	if err := binder.WaitSynced(ctx); err != nil {
		return nil, err
	}
	r.review = client.ReviewToken
	r.startAdmission(client)
	r.binder, r.places = binder, kube.NewPlaces(client, r.o.Log)
	return clusterActions(client, r.protects), nil
}

// nodeAudience is whom an agent's token is for: one that leaks is of no use elsewhere.
const nodeAudience = "riposte-nats"

// startAdmission lets agents in to the bus whose pods the cluster vouches for.
func (r *Responder) startAdmission(client *kube.Client) {
	if r.secrets.nodeAuthSeed == nil {
		return
	}
	tokens := client.NodeTokens(nodeAudience, r.o.NodeAuthAccount, nil)
	admit := bus.AdmissionOptions{Seed: r.secrets.nodeAuthSeed, Cluster: r.o.Cluster, Node: tokens.Node}
	r.cleanups.add("the admission of agents", background(func(ctx context.Context) { r.report(ctx, "let agents in", r.bus.Admit(ctx, admit)) }))
}

// protects is what drain_node asks about each pod of a node.
func (r *Responder) protects(namespace, name, owner string, labels map[string]string) bool {
	return r.guard.Protects(namespace, name, (&playbook.Pod{Owner: owner, Labels: labels}).Workload(), labels)
}
