package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"riposte/agent/alert"
)

// AdmissionSubject is where a NATS server asks who somebody is, if its configuration has
// an auth_callout: a request is a signed jwt.AuthorizationRequestClaims.
const AdmissionSubject = "$SYS.REQ.USER.AUTH"

// Bounds of admissions.
const (
	admissionsWaiting = 1024
	admissionsAtOnce  = 16
	// admissionTime is how long the answer may take; a server waits as long as its
	// authorization.timeout says, which natsd.CalloutConfig sets to the same.
	admissionTime = 5 * time.Second
	// admittedFor is after how long an agent is asked anew who it is. A fifth less or
	// not at all, so that not all come back at the same time.
	admittedFor = time.Hour
)

// AdmissionOptions say how agents are let in that have no key of their own.
type AdmissionOptions struct {
	// Seed is the account key (SA…) whose public half stands in the servers' configuration.
	Seed []byte
	// Cluster is the cluster that all of them are in.
	Cluster string
	// Node says on which node the bearer of a token is. It is empty, with a reason, for
	// whoever is no agent. An error means that it cannot be told now.
	Node func(ctx context.Context, token string) (node, why string, err error)
}

// Admit answers the NATS servers' questions who somebody is that wants to connect, until
// ctx ends; then it returns nil. An agent gets the permissions of its node, for an hour.
// Of several responders one answers each question. Where it cannot be told now nothing
// is answered: the agent comes again, after the server's timeout.
func (b *Bus) Admit(ctx context.Context, o AdmissionOptions) error {
	pair, err := AccountKey(o.Seed)
	if err != nil {
		return err
	}
	queue := make(chan *nats.Msg, admissionsWaiting)
	sub, err := b.nc.ChanQueueSubscribe(AdmissionSubject, "riposte", queue)
	if err != nil {
		return fmt.Errorf("hear who wants to connect: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	var workers sync.WaitGroup
	defer workers.Wait()
	for range admissionsAtOnce {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case m := <-queue:
					b.admit(ctx, m, pair, o)
				}
			}
		})
	}
	<-ctx.Done()
	return nil
}

// AccountKey reads an account key's seed (SA…).
func AccountKey(seed []byte) (nkeys.KeyPair, error) {
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("the key that lets agents in: %w", err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("the key that lets agents in: %w", err)
	}
	if !nkeys.IsValidPublicAccountKey(public) {
		return nil, errors.New("the key that lets agents in is no account's: its seed begins with SA")
	}
	return pair, nil
}

// admit answers one question.
func (b *Bus) admit(ctx context.Context, m *nats.Msg, pair nkeys.KeyPair, o AdmissionOptions) {
	ctx, cancel := context.WithTimeout(ctx, admissionTime)
	defer cancel()
	asked, err := jwt.DecodeAuthorizationRequestClaims(string(m.Data))
	if err != nil {
		b.admissionsFailed.Add(1)
		b.Log.Warn("a question who wants to connect cannot be read", "error", err)
		return
	}
	node, why, err := "", "it shows no token", error(nil)
	if token := asked.ConnectOptions.Token; token != "" { // 4 KiB at most, as servers bound what a client says
		node, why, err = o.Node(ctx, token)
	}
	from := asked.ClientInformation.Host
	if err != nil {
		b.admissionsFailed.Add(1)
		b.Log.Warn("it cannot be told who wants to connect to NATS", "from", from, "error", err)
		return
	}
	answer := jwt.NewAuthorizationResponseClaims(asked.UserNkey)
	answer.Audience = asked.Server.ID
	if node == "" {
		b.admissionsRefused.Add(1)
		b.Log.Warn("somebody who is no agent wants to connect to NATS", "from", from, "why", why)
		answer.Error = "not an agent of this cluster"
	} else if answer.Jwt, err = permit(asked.UserNkey, o.Cluster, node).Encode(pair); err != nil {
		b.admissionsFailed.Add(1)
		b.Log.Error("an agent cannot be let in", "node", node, "error", err)
		return
	}
	text, err := answer.Encode(pair)
	if err == nil {
		err = m.Respond([]byte(text))
	}
	if err != nil {
		b.admissionsFailed.Add(1)
		b.Log.Warn("who wants to connect gets no answer", "from", from, "error", err)
		return
	}
	if node != "" {
		b.admissions.Add(1)
	}
}

// permit is what an agent may do, in the servers' one account.
func permit(user, cluster, node string) *jwt.UserClaims {
	c := jwt.NewUserClaims(user)
	c.Name = alert.Token(node)
	c.Audience = "$G"
	c.Expires = time.Now().Add(admittedFor - rand.N(admittedFor/5)).Unix()
	c.Pub.Allow, c.Sub.Allow = NodeMay(cluster, node)
	c.Resp = &jwt.ResponsePermission{MaxMsgs: 1, Expires: AnswerWithin}
	return c
}
