package revokeaccess_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/kubeobject"
	"riposte/responder/action/revokeaccess"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func revoke(c *kubeobject.Client, _ kubernetes.Interface) action.Action { return revokeaccess.New(c) }

func subject(namespace, name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: "ServiceAccount", Namespace: namespace, Name: name}
}

// scene is a pod whose account is named by a role binding of its namespace together
// with another, by one of another namespace, and by a cluster role binding.
type scene struct {
	cluster *kubetest.Cluster
	name    string
	pod     action.Target
}

func stage(t *testing.T, name string) scene {
	cluster := kubetest.Shared(t)
	cluster.CreateNamespace(t, name)
	cluster.CreateNamespace(t, name+"-other")
	_, err := cluster.Client.CoreV1().ServiceAccounts(name).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "cart"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	uid := cluster.CreatePod(t, name, "cart", "node-1", func(pod *corev1.Pod) { pod.Spec.ServiceAccountName = "cart" })
	s := scene{cluster, name, actiontest.Pod(name, "cart", uid)}
	rbac := cluster.Client.RbacV1()
	_, err = rbac.Roles(name).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	for namespace, subjects := range map[string][]rbacv1.Subject{
		name:            {subject(name, "other"), subject(name, "cart"), {Kind: "User", Name: "cart"}},
		name + "-other": {subject(name, "cart")},
	} {
		_, err = rbac.RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "view"},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	for role, subjects := range map[string][]rbacv1.Subject{
		"admin": {subject(name, "cart")}, "everybody": {{Kind: "Group", Name: "system:serviceaccounts:" + name}}, "foreign": {subject(name+"-other", "cart")},
	} {
		_, err = rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name + "-" + role}, Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	return s
}

// named are the subjects of all bindings of the scene.
func (s scene) named(t *testing.T) map[string][]string {
	all := map[string][]string{}
	add := func(name string, subjects []rbacv1.Subject) {
		all[name] = []string{}
		for _, x := range subjects {
			all[name] = append(all[name], x.Kind+" "+x.Namespace+"/"+x.Name)
		}
	}
	for _, namespace := range []string{s.name, s.name + "-other"} {
		list, err := s.cluster.Client.RbacV1().RoleBindings(namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		for _, b := range list.Items {
			add(namespace+"/"+b.Name, b.Subjects)
		}
	}
	for _, name := range []string{"admin", "everybody", "foreign"} {
		b, err := s.cluster.Client.RbacV1().ClusterRoleBindings().Get(t.Context(), s.name+"-"+name, metav1.GetOptions{})
		require.NoError(t, err)
		add(name, b.Subjects)
	}
	return all
}

func TestRevokeAndBack(t *testing.T) {
	s := stage(t, "revoke")
	was := s.named(t)
	a := actiontest.Declared(t, s.cluster, revoke)
	require.NoError(t, a.Check(s.pod, []byte("{}")))
	r := actiontest.Request(a, s.pod, "")
	text, err := a.(action.Previewer).Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, "--- RoleBinding/revoke/reader")
	require.Contains(t, text, "--- ClusterRoleBinding/revoke-admin")
	require.Equal(t, was, s.named(t), "a preview changes nothing")
	_, err = a.Verify(actiontest.Soon(t, 300*time.Millisecond), r)
	require.ErrorContains(t, err, "the service account is named by clusterrolebinding revoke-admin, rolebinding revoke-other/reader, rolebinding revoke/reader")

	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "took service account revoke/cart out of 3 role bindings; it still has what its groups have through revoke-everybody", result.Note)
	require.Equal(t, map[string][]string{
		"revoke/reader": {"ServiceAccount revoke/other", "User /cart"}, "revoke-other/reader": {}, "admin": {},
		"everybody": was["everybody"], "foreign": was["foreign"],
	}, s.named(t))
	_, err = a.Verify(actiontest.Soon(t, 20*time.Second), r)
	require.NoError(t, err)

	// After a crash the same request comes again.
	r.Attempt = 2
	again, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.JSONEq(t, string(result.Before), string(again.Before))

	r.Before = result.Before
	for range 2 {
		_, err = a.(action.Undoer).Undo(t.Context(), r)
		require.NoError(t, err)
		now := s.named(t)
		for name := range now {
			slices.Sort(now[name])
			slices.Sort(was[name])
		}
		require.Equal(t, was, now)
	}
}

// Somebody deletes one binding and puts the account back into another by hand.
func TestUndoAfterSomebodyElsesChange(t *testing.T) {
	s := stage(t, "undo")
	a := actiontest.Declared(t, s.cluster, revoke)
	r := actiontest.Request(a, s.pod, "")
	_, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	rbac := s.cluster.Client.RbacV1()
	require.NoError(t, rbac.RoleBindings("undo").Delete(t.Context(), "reader", metav1.DeleteOptions{}))
	b, err := rbac.ClusterRoleBindings().Get(t.Context(), "undo-admin", metav1.GetOptions{})
	require.NoError(t, err)
	b.Subjects = []rbacv1.Subject{subject("undo", "cart")}
	_, err = rbac.ClusterRoleBindings().Update(t.Context(), b, metav1.UpdateOptions{})
	require.NoError(t, err)
	// Without the record: the bindings say themselves what was taken from them.
	result, err := a.(action.Undoer).Undo(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "the service account is back in 2 role bindings", result.Note)
	now := s.named(t)
	require.NotContains(t, now, "undo/reader")
	require.Equal(t, []string{"ServiceAccount undo/cart"}, now["admin"])
	require.Equal(t, []string{"ServiceAccount undo/cart"}, now["undo-other/reader"])
}

func TestGoneReplacedRefused(t *testing.T) {
	s := stage(t, "gone")
	a := actiontest.Declared(t, s.cluster, revoke)
	// Without bind the API server refuses, for the binding gives more than we have.
	user := "no-bind"
	cannot := actiontest.Connect(t, s.cluster.As(t, user), revoke)
	s.cluster.Grant(t, user, slices.DeleteFunc(slices.Clone(a.Spec().Permissions), func(p string) bool { return p[:4] == "bind" })...)
	_, err := cannot.Execute(t.Context(), actiontest.Request(a, s.pod, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "RBAC")

	was := s.named(t)
	successor := s.pod
	successor.UID = actiontest.Replace(t, s.cluster, s.pod)
	result, err := a.Execute(t.Context(), actiontest.Request(a, s.pod, ""))
	require.NoError(t, err)
	require.Contains(t, result.Note, "replaced by another of its name")
	require.Equal(t, was, s.named(t), "the successor may be clean")
	actiontest.Remove(t, s.cluster, successor)
	result, err = a.Execute(t.Context(), actiontest.Request(a, s.pod, ""))
	require.NoError(t, err)
	require.Equal(t, "the pod was already gone", result.Note)
}
