package server

import (
	"time"

	"riposte/responder/api"
	"riposte/responder/playbook/sandbox"
)

func loadsResource(l sandbox.Loads) api.Loads {
	out := api.Loads{GoodAt: l.GoodAt.UTC().Truncate(time.Microsecond), Good: l.Good, Bad: l.Bad}
	if l.Err != nil {
		at := l.ErrAt.UTC().Truncate(time.Microsecond)
		out.Error, out.ErrorAt, out.Failing = sandbox.First(l.Err), &at, l.ErrAt.After(l.GoodAt)
	}
	return out
}
