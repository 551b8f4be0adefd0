package standalone

import (
	"errors"

	"riposte/deploy/standalone/natsd"
)

// keys are the public nkeys of both roles, and the files that hold the rest.
type keys struct {
	agent, responder          string
	agentFile, responderFile  string
	orderPrivate, orderPublic string
	checkpoint                string
	token                     string
}

func makeKeys(d *Data) (k keys, err error) {
	k.agentFile, k.responderFile = d.Path("keys", "agent.nk"), d.Path("keys", "responder.nk")
	var errs [5]error
	k.agent, errs[0] = natsd.Key(k.agentFile)
	k.responder, errs[1] = natsd.Key(k.responderFile)
	k.orderPrivate, k.orderPublic, errs[2] = d.OrderKey()
	k.token, errs[3] = d.Token()
	k.checkpoint, _, errs[4] = d.KeyPair("checkpoint")
	return k, errors.Join(errs[:]...)
}
