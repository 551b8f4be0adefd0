package kube

import (
	"context"
	"fmt"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReviewToken asks the cluster whose a token is, for one of the audiences, or for the
// API server itself if there are none. Ok is false if it is nobody's. It needs create
// on tokenreviews.authentication.k8s.io.
func (c *Client) ReviewToken(ctx context.Context, token string, audiences []string) (user string, groups []string, ok bool, err error) {
	r, err := c.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", nil, false, fmt.Errorf("review a token: %w", err)
	}
	if !r.Status.Authenticated {
		return "", nil, false, nil
	}
	// An API server that knows nothing of audiences would leave this empty.
	meant := func(a string) bool { return slices.Contains(r.Status.Audiences, a) }
	if len(audiences) > 0 && !slices.ContainsFunc(audiences, meant) {
		return "", nil, false, nil
	}
	return r.Status.User.Username, r.Status.User.Groups, true, nil
}
