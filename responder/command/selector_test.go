package command

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

func TestSelectorFlag(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 4 {
		e.Add(t, i)
	}
	data := folder(t, e.URL, apitest.Token)
	for _, list := range []string{"alerts list", "actions list", "incidents list"} {
		out, _, err := run(t, append(strings.Fields(list), "-o", "name", "-l", "app=cart, number in (1,3)", "--data", data)...)
		require.NoError(t, err)
		id := map[string]func(int) string{"alerts list": apitest.AlertID, "actions list": apitest.ActionID, "incidents list": apitest.IncidentID}[list]
		require.Equal(t, id(3)+"\n"+id(1)+"\n", out)
	}
	_, _, err := run(t, "alerts", "list", "--selector", "app=cart number=1", "--data", data)
	require.ErrorContains(t, err, "column 10: there is 'n' after a requirement: join them by commas")
	var c coded
	require.ErrorAs(t, err, &c)
	require.Equal(t, exitUsage, c.code)
}
