package responder

import (
	"cmp"
	"context"
	"log/slog"
	"slices"

	"riposte/responder/action"
	"riposte/responder/action/acknowledgeincident"
	"riposte/responder/action/collectlogs"
	"riposte/responder/action/cordonnode"
	"riposte/responder/action/cutnetwork"
	"riposte/responder/action/deletepod"
	"riposte/responder/action/deleteresource"
	"riposte/responder/action/drainnode"
	"riposte/responder/action/evictpod"
	"riposte/responder/action/freezecontainer"
	"riposte/responder/action/isolatepod"
	"riposte/responder/action/killcontainer"
	"riposte/responder/action/killprocess"
	"riposte/responder/action/kubeobject"
	"riposte/responder/action/label"
	"riposte/responder/action/networkpolicy"
	tell "riposte/responder/action/notify"
	"riposte/responder/action/restartworkload"
	"riposte/responder/action/revokeaccess"
	"riposte/responder/action/rollbackworkload"
	"riposte/responder/action/scaleworkload"
	"riposte/responder/action/snapshotobject"
	"riposte/responder/action/suspendcronjob"
	"riposte/responder/action/taintnode"
	"riposte/responder/action/webhook"
	"riposte/responder/incident"
	"riposte/responder/kube"
	"riposte/responder/node"
	"riposte/responder/notify"
	"riposte/responder/store"
)

//go:generate go run ./generate ../docs/actions.md ../docs/openapi.json ../deploy/helm/riposte/files/permissions.yaml

// startActions registers what can be done. Without a cluster there are none of its
// actions, and a playbook that proposes one gets a refused action.
func (r *Responder) startActions(ctx context.Context) error {
	all := slices.Concat(nodeActions(r.bus), toldActions(r.o.Log, r.webhooks), ownActions(r.store))
	more, err := r.startCluster(ctx)
	if err != nil {
		return err
	}
	r.actions = action.NewRegistry(append(all, more...)...)
	for kind := range r.actions {
		if r.actions.Undoable(kind) {
			r.undoable = append(r.undoable, kind)
		}
	}
	return nil
}

// nodeActions are done by a node's agent, on its order.
func nodeActions(orders node.Orders) []action.Action {
	return []action.Action{cutnetwork.New(orders), freezecontainer.New(orders), killcontainer.New(orders), killprocess.New(orders)}
}

// toldActions tell somebody.
func toldActions(log *slog.Logger, webhooks *notify.Webhooks) []action.Action {
	return []action.Action{tell.New(log.With("component", "notify"), webhooks), webhook.New(webhooks)}
}

// ownActions are about what the responder itself keeps.
func ownActions(s *store.Store) []action.Action {
	return []action.Action{acknowledgeincident.New(incident.Acknowledgements{Store: s})}
}

// clusterActions are done through the cluster's API server. What is in a protected
// namespace the guard refuses; those that reach further than their target ask.
func clusterActions(client *kube.Client, protects drainnode.Protects) []action.Action {
	objects := kubeobject.New(client.Dynamic)
	return []action.Action{
		collectlogs.New(objects, client.Interface),
		cordonnode.New(objects),
		cordonnode.NewUncordon(objects),
		deletepod.New(objects),
		deleteresource.New(objects),
		drainnode.New(objects, protects),
		evictpod.New(objects),
		isolatepod.New(objects),
		label.New(objects),
		label.NewAnnotate(objects),
		networkpolicy.New(objects),
		networkpolicy.NewCalico(objects),
		networkpolicy.NewCilium(objects),
		restartworkload.New(objects),
		revokeaccess.New(objects),
		rollbackworkload.New(objects),
		scaleworkload.New(objects),
		snapshotobject.New(objects),
		suspendcronjob.New(objects),
		taintnode.New(objects),
	}
}

// Actions describe everything that can be done, by type.
func Actions() []action.Action {
	all := slices.Concat(nodeActions(nil), toldActions(slog.New(slog.DiscardHandler), nil), ownActions(nil), clusterActions(&kube.Client{}, nil))
	slices.SortFunc(all, func(a, b action.Action) int { return cmp.Compare(a.Spec().Type, b.Spec().Type) })
	return all
}
