package responder

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The secret of the issuer's client stands in a file of its own, which strangers cannot
// read.
func TestClientSecretFile(t *testing.T) {
	dir := t.TempDir()
	secret, file := filepath.Join(dir, "oidc-client-secret"), filepath.Join(dir, "access.yaml")
	require.NoError(t, os.WriteFile(file, []byte("oidc: {issuer: https://idp.example, audience: riposte, console: {url: https://r.example, client_secret_file: "+secret+"}}"), 0o644))
	_, err := readAccess(file)
	require.ErrorContains(t, err, "the OpenID Connect client's secret: open "+secret)

	require.NoError(t, os.WriteFile(secret, []byte("s3cret\n"), 0o600))
	c, err := readAccess(file)
	require.NoError(t, err)
	require.Equal(t, "s3cret", c.OIDC.Console.ClientSecret)

	require.NoError(t, os.Chmod(secret, 0o644))
	_, err = readAccess(file)
	require.ErrorContains(t, err, "everybody on this machine can use")
	require.NotContains(t, err.Error(), "s3cret")
}
