package responder

import (
	"context"

	"riposte/responder/action"
	"riposte/responder/execute"
	"riposte/responder/guard"
)

// gate is the guard's last look as the executor asks for it.
type gate struct{ guard *guard.Guard }

// Pass holds an action while the kill switch is on; whatever else the guard has
// against it does not change by waiting.
func (g gate) Pass(ctx context.Context, r action.Request) *execute.Stop {
	v := g.guard.Release(ctx, r)
	if v.Outcome == "" || v.Outcome == guard.Allow {
		return nil
	}
	return &execute.Stop{Hold: v.Rule == guard.RuleKillSwitch, Rule: v.Rule, Reason: v.Reason}
}
