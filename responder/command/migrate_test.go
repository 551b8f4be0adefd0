package command_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/command"
	"riposte/responder/store/storetest"
)

// ender ends the command when it has said its first line.
type ender struct {
	bytes.Buffer
	cancel func()
}

func (e *ender) Write(p []byte) (int, error) {
	defer e.cancel()
	return e.Buffer.Write(p)
}

func TestMigrateWaitsForADatabaseThatIsNotUp(t *testing.T) {
	run := func(args ...string) (out, diagnostics string, err error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c := command.NewMigrate()
		var o bytes.Buffer
		e := ender{cancel: cancel}
		c.SetArgs(args)
		c.SetOut(&o)
		c.SetErr(&e)
		err = c.ExecuteContext(ctx)
		return o.String(), e.String(), err
	}
	const nobody = "postgres://owner@127.0.0.1:1/riposte?sslmode=disable"
	_, said, err := run("--database", nobody, "--wait", "1h")
	require.Error(t, err, "who waited was interrupted")
	require.Contains(t, said, "more: connect to the database: ")
	_, said, err = run("--database", nobody, "--wait", "0s")
	require.ErrorContains(t, err, "connect to the database")
	require.NotContains(t, said, "waiting")
	_, _, err = run("--database", nobody, "--wait", "-1s")
	require.ErrorContains(t, err, "cannot be less than 0")

	done, said, err := run("--database", storetest.Empty(t))
	require.NoError(t, err)
	require.Equal(t, "The schema is this version's.\n", done)
	require.Empty(t, said)
}
