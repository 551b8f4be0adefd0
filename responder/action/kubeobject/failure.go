package kubeobject

import (
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"riposte/responder/action"
)

// Classify gives an API server's error its kind. permission is what the request
// needs, for the message.
func Classify(permission string, err error) error {
	kind := action.Retryable
	var status apierrors.APIStatus
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "admission webhook"):
		kind = action.Refused
	case apierrors.IsForbidden(err):
		kind, err = action.Permanent, fmt.Errorf("the responder lacks the permission %q: %w", permission, err)
	case apierrors.IsUnauthorized(err), apierrors.IsTooManyRequests(err), apierrors.IsTimeout(err), apierrors.IsConflict(err):
		// Credentials are renewed while we run, load passes, and a conflict is settled by reading again.
	case errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500:
		kind = action.Permanent
	}
	// Whatever is left is a 5xx, or no answer at all.
	return &action.Error{Kind: kind, Err: err}
}

// Permanent makes an error that trying again cannot mend.
func Permanent(format string, args ...any) error {
	return &action.Error{Kind: action.Permanent, Err: fmt.Errorf(format, args...)}
}
