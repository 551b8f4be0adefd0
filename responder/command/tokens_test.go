package command

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

func TestTokensByCommand(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 1)
	admin := folder(t, e.URL, apitest.Token)
	out, says, err := run(t, "tokens", "create", "jane", "--role", "viewer", "--namespaces", "shop", "--expires", "2d", "--data", admin)
	require.NoError(t, err)
	secret := strings.TrimSpace(out)
	require.NotContains(t, secret, " ", "only the token goes to standard output")
	require.Contains(t, says, "of jane: viewer of namespaces shop until")

	jane := folder(t, e.URL, secret)
	out, _, err = run(t, "alerts", "list", "--data", jane)
	require.NoError(t, err)
	require.Contains(t, out, apitest.Rule(1))
	_, _, err = run(t, "tokens", "list", "--data", jane)
	require.ErrorContains(t, err, "role admin")

	out, _, err = run(t, "tokens", "list", "--utc", "--name", "jane", "--data", admin)
	require.NoError(t, err)
	require.Contains(t, out, "namespaces shop")
	require.NotContains(t, out, secret)
	line := strings.Split(strings.TrimSpace(out), "\n")[1]
	id := line[strings.LastIndex(line, " ")+1:]
	out, _, err = run(t, "tokens", "revoke", id, "--reason", "laptop lost", "--data", admin)
	require.NoError(t, err)
	require.Contains(t, out, "is revoked")
	_, _, err = run(t, "alerts", "list", "--data", jane)
	require.ErrorContains(t, err, "does not take this token")

	_, _, err = run(t, "tokens", "create", "jane", "--expires", "never", "--data", admin)
	require.ErrorContains(t, err, "--expires")
	_, _, err = run(t, "tokens", "create", "jane", "--expires", "400d", "--data", admin)
	require.ErrorContains(t, err, "within the next 366 days")
}
