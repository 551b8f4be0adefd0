package deletepod_test

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/deletepod"
	"riposte/responder/action/kubeobject"
)

// Answers that a healthy API server does not give on demand come from a server
// that gives nothing else.
func TestKindOfFailure(t *testing.T) {
	for name, tt := range map[string]struct {
		code   int
		reason metav1.StatusReason
		want   action.ErrorKind
	}{
		"overloaded":        {http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, action.Retryable},
		"credentials old":   {http.StatusUnauthorized, metav1.StatusReasonUnauthorized, action.Retryable},
		"internal error":    {http.StatusInternalServerError, metav1.StatusReasonInternalError, action.Retryable},
		"no leader":         {http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, action.Retryable},
		"its own timeout":   {http.StatusGatewayTimeout, metav1.StatusReasonTimeout, action.Retryable},
		"a policy's no":     {http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, action.Permanent},
		"no such operation": {http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, action.Permanent},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tt.code)
				_ = json.NewEncoder(w).Encode(metav1.Status{
					TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
					Status:   "Failure", Code: int32(tt.code), Reason: tt.reason, Message: "said so",
				})
			}))
			defer server.Close()
			_, err := at(t, server.URL).Execute(t.Context(), request("shop", "cart", "u", ""))
			require.Error(t, err)
			require.Equal(t, tt.want, action.KindOf(err), "%v", err)
		})
	}
}

func TestNoAnswerIsRetryable(t *testing.T) {
	silent := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }))
	defer server.Close()
	defer close(silent)
	r := request("shop", "cart", "u", "")

	_, err := at(t, server.URL).Execute(soon(t, 100*time.Millisecond), r)
	require.Equal(t, action.Retryable, action.KindOf(err), "%v", err)

	_, err = at(t, "http://127.0.0.1:1").Execute(t.Context(), r)
	require.ErrorContains(t, err, "connection refused")
	require.Equal(t, action.Retryable, action.KindOf(err))

	_, err = at(t, "http://127.0.0.1:1").Verify(soon(t, 100*time.Millisecond), r)
	require.ErrorContains(t, err, "connection refused", "it goes on looking, and says in the end what was in the way")
}

func at(t *testing.T, url string) *deletepod.Action {
	client, err := dynamic.NewForConfig(&rest.Config{Host: url})
	require.NoError(t, err)
	return deletepod.New(kubeobject.New(client))
}

// Somebody else's admission webhook forbids the deletion: that is no missing permission.
func TestWebhookRefuses(t *testing.T) {
	cluster := kubetest.Shared(t)
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: "kept as evidence", Code: http.StatusForbidden}}
		_ = json.NewEncoder(w).Encode(review)
	}))
	defer hook.Close()
	uid := cluster.CreatePod(t, "webhook", "cart", "node-1")
	none, fail := registrationv1.SideEffectClassNone, registrationv1.Fail
	configs := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := configs.Create(t.Context(), &registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "keep"},
		Webhooks: []registrationv1.ValidatingWebhook{{
			Name:                    "keep.example.com",
			AdmissionReviewVersions: []string{"v1"},
			SideEffects:             &none,
			FailurePolicy:           &fail,
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "webhook"}},
			Rules: []registrationv1.RuleWithOperations{{
				Operations: []registrationv1.OperationType{registrationv1.Delete},
				Rule:       registrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
			ClientConfig: registrationv1.WebhookClientConfig{
				URL:      &hook.URL,
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw}),
			},
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	// Wait with deletions that change nothing until the API server knows the webhook.
	dry := metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}
	require.Eventually(t, func() bool {
		return cluster.Client.CoreV1().Pods("webhook").Delete(t.Context(), "cart", dry) != nil
	}, 20*time.Second, 20*time.Millisecond)

	_, err = connect(t, cluster.Kubeconfig).Execute(t.Context(), request("webhook", "cart", uid, ""))
	require.Equal(t, action.Refused, action.KindOf(err), "%v", err)
	require.ErrorContains(t, err, "kept as evidence")
}
