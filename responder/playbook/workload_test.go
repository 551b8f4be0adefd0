package playbook_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook"
)

func TestWorkload(t *testing.T) {
	for owner, want := range map[string]string{
		"ReplicaSet/web-5d4f": "Deployment/web", "ReplicaSet/web": "ReplicaSet/web", "ReplicaSet/-5d4f": "ReplicaSet/-5d4f",
		"ReplicaSet/a-5d4f-5d4f": "Deployment/a-5d4f", "StatefulSet/db-5d4f": "StatefulSet/db-5d4f", "": "",
	} {
		p := &playbook.Pod{Owner: owner, Labels: map[string]string{"pod-template-hash": "5d4f"}}
		require.Equal(t, want, p.Workload(), owner)
	}
	require.Equal(t, "ReplicaSet/web-", (&playbook.Pod{Owner: "ReplicaSet/web-"}).Workload(), "no hash, no Deployment")
}
