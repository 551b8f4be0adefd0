package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"riposte/agent/alert"
	"riposte/responder/audit"
)

// AuditStream keeps copies of the record's checkpoints. Nobody can delete a message
// of it or purge it, the responder included: only whoever runs NATS.
const AuditStream = "AUDIT"

// checkpointTime bounds one call.
const checkpointTime = 5 * time.Second

// checkpointSubjects are all that checkpoints are published on.
const checkpointSubjects = "audit.*.checkpoint"

// checkpointSubject is where the checkpoints of a cluster are published.
func checkpointSubject(cluster string) string {
	return "audit." + alert.Token(cluster) + ".checkpoint"
}

// Checkpoints is the stream as an audit.Place. The stream is made at its first use.
func (b *Bus) Checkpoints() audit.Place { return &checkpoints{bus: b} }

type checkpoints struct {
	bus    *Bus
	stream jetstream.Stream
}

// Name is the stream's.
func (c *checkpoints) Name() string { return "the stream " + AuditStream }

func (c *checkpoints) open(ctx context.Context) (err error) {
	if c.stream != nil {
		return nil
	}
	c.stream, err = c.bus.js.CreateStream(ctx, jetstream.StreamConfig{
		Name:        AuditStream,
		Description: "signed checkpoints of Riposte's audit record",
		Subjects:    []string{checkpointSubjects},
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		MaxMsgSize:  16 << 10,
		Duplicates:  duplicates,
		Replicas:    c.bus.StreamReplicas,
		DenyDelete:  true,
		DenyPurge:   true,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // made with another number of replicas
		c.stream, err = c.bus.js.Stream(ctx, AuditStream)
	}
	if err != nil {
		return fmt.Errorf("set up the stream %s: %w", AuditStream, err)
	}
	return nil
}

// Last is the newest checkpoint that the stream has of a cluster.
func (c *checkpoints) Last(ctx context.Context, cluster string) (*audit.Point, error) {
	ctx, cancel := context.WithTimeout(ctx, checkpointTime)
	defer cancel()
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	m, err := c.stream.GetLastMsgForSubject(ctx, checkpointSubject(cluster))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return pointOf(m, cluster)
}

// Newest is the newest checkpoint of each cluster in the stream.
func (c *checkpoints) Newest(ctx context.Context) (all []audit.Point, err error) {
	clusters, err := c.clusters(ctx)
	if err != nil {
		return nil, err
	}
	for _, cluster := range clusters {
		p, err := c.Last(ctx, cluster)
		if err != nil {
			return nil, err
		}
		if p != nil {
			all = append(all, *p)
		}
	}
	return all, nil
}

// clusters are those that the stream has checkpoints of.
func (c *checkpoints) clusters(ctx context.Context) (all []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkpointTime)
	defer cancel()
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	info, err := c.stream.Info(ctx, jetstream.WithSubjectFilter(checkpointSubjects))
	if err != nil {
		return nil, err
	}
	for subject := range info.State.Subjects {
		token := strings.TrimSuffix(strings.TrimPrefix(subject, "audit."), ".checkpoint")
		cluster, err := alert.Name(token)
		if err != nil {
			return nil, fmt.Errorf("the subject %s of the stream %s: %w", subject, AuditStream, err)
		}
		all = append(all, cluster)
	}
	slices.Sort(all)
	return all, nil
}

// All are the checkpoints of a cluster, message by message: it is asked for when something
// is wrong, and needs no right that Last does not need.
func (c *checkpoints) All(ctx context.Context, cluster string) (all []audit.Point, err error) {
	for next := uint64(1); ; {
		m, err := c.message(ctx, cluster, next)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		p, err := pointOf(m, cluster)
		if err != nil {
			return nil, err
		}
		all = append(all, *p)
		next = m.Sequence + 1
	}
}

// message is the first about a cluster from a number on.
func (c *checkpoints) message(ctx context.Context, cluster string, from uint64) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, checkpointTime)
	defer cancel()
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	return c.stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(checkpointSubject(cluster)))
}

// pointOf reads a message about a cluster.
func pointOf(m *jetstream.RawStreamMsg, cluster string) (*audit.Point, error) {
	var p audit.Point
	if err := json.Unmarshal(m.Data, &p); err != nil {
		return nil, fmt.Errorf("message %d of the stream %s is no checkpoint: %w", m.Sequence, AuditStream, err)
	}
	if p.Cluster != cluster {
		return nil, fmt.Errorf("message %d of the stream %s is about cluster %.100q", m.Sequence, AuditStream, p.Cluster)
	}
	return &p, nil
}

// Put publishes a checkpoint and waits until the stream has it.
func (c *checkpoints) Put(ctx context.Context, p audit.Point) error {
	ctx, cancel := context.WithTimeout(ctx, checkpointTime)
	defer cancel()
	if err := c.open(ctx); err != nil {
		return err
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = c.bus.js.PublishMsg(ctx, &nats.Msg{
		Subject: checkpointSubject(p.Cluster), Data: data,
		Header: nats.Header{jetstream.MsgIDHeader: {p.Cluster + "/" + strconv.FormatInt(p.Seq, 10)}}, // two replicas put the same one
	})
	return err
}
