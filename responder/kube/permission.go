package kube

// Permissions are what binding alerts and judging actions needs in the cluster, in the
// form of action.ParsePermission: pods are followed, nodes looked through for cordons,
// and the rest asked for by name. ReviewToken needs one more, see there.
func Permissions() []string {
	return []string{
		"get pods", "list pods", "watch pods", "get nodes", "list nodes", "get namespaces", "get replicationcontrollers",
		"get replicasets.apps", "get statefulsets.apps", "get daemonsets.apps", "get jobs.batch",
	}
}
