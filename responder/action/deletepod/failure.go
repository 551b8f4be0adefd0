package deletepod

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"riposte/responder/action"
)

// classify gives an API server's error its kind. permission is what the request
// needs, for the message.
func classify(permission string, err error) error {
	kind := action.Retryable
	var status apierrors.APIStatus
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "admission webhook"):
		kind = action.Refused
	case apierrors.IsForbidden(err):
		kind, err = action.Permanent, fmt.Errorf("the responder lacks the permission %q: %w", permission, err)
	case apierrors.IsUnauthorized(err), apierrors.IsTooManyRequests(err), apierrors.IsTimeout(err):
		// Credentials are renewed while we run, load passes.
	case errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500:
		kind = action.Permanent
	}
	// Whatever is left is a 5xx, or no answer at all.
	return &action.Error{Kind: kind, Err: err}
}
