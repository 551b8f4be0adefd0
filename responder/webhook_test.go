package responder_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder"
)

func TestWebhooksFile(t *testing.T) {
	b := newRig(t)
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("0123456789abcdef\n"), 0o600))
	b.options.WebhooksFile = filepath.Join(dir, "webhooks.yaml")
	for text, want := range map[string]string{
		"":     "is empty",
		"# {}": "",
		"tickets: {url: https://tickets.example/in, secret_file: " + secret + "}": "",
		"tickets: {url: https://tickets.example/in}":                              `webhook "tickets" has no secret_file`,
		"tickets: {url: https://x, secret: abc}":                                  "field secret not found",
		"tickets: {url: gopher://x, secret_file: " + secret + "}":                 `webhook "tickets": its URL must begin with https://`,
		"tickets: {url: https://x, secret_file: /nowhere/secret}":                 `the secret of webhook "tickets": `,
	} {
		require.NoError(t, os.WriteFile(b.options.WebhooksFile, []byte(text), 0o600))
		_, err := responder.New(b.options)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, text)
	}
	require.NoError(t, os.Chmod(b.options.WebhooksFile, 0o644))
	_, err := responder.New(b.options)
	require.ErrorContains(t, err, "everybody on this machine can use")
}
