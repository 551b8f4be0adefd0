package kubetest

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"riposte/responder/action"
)

// As returns the path of a kubeconfig that acts as user, who may do nothing but
// what [Cluster.Grant] gives.
func (c *Cluster) As(t testing.TB, user string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range config.AuthInfos {
		info.Impersonate = user
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Grant lets user do what the permissions say, in every namespace; they are written
// as action.ParsePermission reads them. It returns when the API server has taken
// notice.
func (c *Cluster) Grant(t testing.TB, user string, permissions ...string) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: "test-" + user}
	role := &rbacv1.ClusterRole{ObjectMeta: meta}
	for _, text := range permissions {
		p, err := action.ParsePermission(text)
		if err != nil {
			t.Fatal(err)
		}
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{p.Group}, Verbs: []string{p.Verb}, Resources: []string{p.Resource}})
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta,
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", APIGroup: rbacv1.GroupName, Name: meta.Name},
	}
	rbac := c.Client.RbacV1()
	if _, err := rbac.ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal("create role:", err)
	}
	if _, err := rbac.ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal("create role binding:", err)
	}
	for _, rule := range role.Rules {
		resource, sub, _ := strings.Cut(rule.Resources[0], "/")
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: resource, Subresource: sub,
			},
		}}
		poll(t, user+" to be allowed to "+rule.Verbs[0]+" "+rule.Resources[0], func(ctx context.Context) (bool, error) {
			answer, err := c.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
			return err == nil && answer.Status.Allowed, err
		})
	}
}
