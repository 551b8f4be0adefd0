package server_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/api/server"
	"riposte/responder/playbook"
	"riposte/responder/store/storetest"
)

func TestCoverage(t *testing.T) {
	var answer error
	var got playbook.Coverage
	e := apitest.StartWith(t, storetest.New(t), server.Options{Coverage: func(context.Context, string) (playbook.Coverage, error) { return got, answer }})
	c := newClient(t, e)
	got = playbook.Coverage{Playbook: &playbook.Playbook{Name: apitest.Playbook, Revision: "abc"}, At: apitest.Base, Err: errors.New("kill_test.rego:3:1: is wrong")}
	p, err := c.PlaybookCoverage(t.Context(), apitest.Playbook)
	require.NoError(t, err)
	require.Equal(t, api.PlaybookCoverage{Name: apitest.Playbook, Revision: "abc", At: apitest.Base, Error: "kill_test.rego:3:1: is wrong", Files: []api.FileCoverage{}}, p)

	for _, of := range []struct {
		err    error
		status int
		code   string
	}{{playbook.ErrTesting, 503, "tests_running"}, {playbook.ErrNotLoaded, 404, "not_found"}} {
		answer = of.err
		_, err = c.PlaybookCoverage(t.Context(), apitest.Playbook)
		var refused *client.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, of.status, refused.Status)
		require.Equal(t, of.code, refused.Code)
	}
	answer = errors.New("must not be asked")
	_, err = c.PlaybookCoverage(t.Context(), "nothing")
	require.ErrorContains(t, err, "no playbook is called")
}
