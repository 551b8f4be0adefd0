package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReviewToken asks the cluster whose a token is, for one of the audiences, or for the
// API server itself if there are none. Ok is false if it is nobody's. It needs create
// on tokenreviews.authentication.k8s.io.
func (c *Client) ReviewToken(ctx context.Context, token string, audiences []string) (user string, groups []string, ok bool, err error) {
	u, err := c.review(ctx, token, audiences)
	if u == nil || err != nil {
		return "", nil, false, err
	}
	return u.Username, u.Groups, true, nil
}

// What an API server says of a token that is bound to a pod, since Kubernetes 1.32.
const (
	podOfToken  = "authentication.kubernetes.io/pod-name"
	nodeOfToken = "authentication.kubernetes.io/node-name"
)

// NodeOfToken asks the cluster on which node the pod runs that a token was made for, if
// the pod is of the account, as namespace/name. Node is empty, and why says why, for any
// other token: one that somebody made by hand for the account is bound to no pod.
func (c *Client) NodeOfToken(ctx context.Context, token, audience, account string) (node, why string, err error) {
	u, err := c.review(ctx, token, []string{audience})
	if err != nil {
		return "", "", err
	}
	namespace, name, _ := strings.Cut(account, "/")
	switch {
	case u == nil:
		return "", "the API server does not vouch for the token", nil
	case u.Username != "system:serviceaccount:"+namespace+":"+name:
		return "", fmt.Sprintf("the token is %q's", u.Username), nil
	case len(u.Extra[podOfToken]) != 1 || len(u.Extra[nodeOfToken]) != 1:
		return "", "the token is bound to no pod on a node", nil
	}
	return u.Extra[nodeOfToken][0], "", nil
}

// review is nil for a token that is nobody's, or is meant for others.
func (c *Client) review(ctx context.Context, token string, audiences []string) (*authenticationv1.UserInfo, error) {
	r, err := c.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("review a token: %w", err)
	}
	if !r.Status.Authenticated {
		return nil, nil
	}
	// An API server that knows nothing of audiences would leave this empty.
	meant := func(a string) bool { return slices.Contains(r.Status.Audiences, a) }
	if len(audiences) > 0 && !slices.ContainsFunc(audiences, meant) {
		return nil, nil
	}
	return &r.Status.User, nil
}
