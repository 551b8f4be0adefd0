package bus

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"riposte/agent/alert"
	"riposte/agent/publish"
)

// Headers of an atomic batch, which servers from 2.12 on know: all messages of one
// id, counted from 1, are stored with the one that says commit, or none is.
const (
	headerBatch  = "Nats-Batch-Id"
	headerSeq    = "Nats-Batch-Sequence"
	headerCommit = "Nats-Batch-Commit"
)

// Codes of answers after which batches are not tried again on this connection.
const (
	codeBatchDisabled    = 10174
	codeBatchUnsupported = 10177
)

// batch is one batch on its way.
type batch struct {
	done     func(error)
	timeout  *time.Timer
	messages int
	subjects map[string]bool
}

// batchAnswer is the server's answer to a commit. An old server stores the
// messages one by one and answers without the batch's id.
type batchAnswer struct {
	Batch string `json:"batch"`
	Count int    `json:"count"`
	Error *struct {
		Code        int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

func (c *Conn) hearBatches() error {
	c.batchBase = c.nc.NewInbox()
	_, err := c.nc.Subscribe(c.batchBase+".*", func(m *nats.Msg) {
		c.settleBatch(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], m)
	})
	if err != nil {
		return fmt.Errorf("hear the answers to batches: %w", err)
	}
	return nil
}

// Batches says whether PublishBatch may be used: the server is there and has not
// refused one.
func (c *Conn) Batches() bool { return c.nc.IsConnected() && !c.unbatched.Load() }

// PublishBatch hands several messages to JetStream, to be stored all or none, and
// does not wait. It is Publish otherwise. done's error wraps publish.ErrBatch if
// the server may take the same messages one by one.
func (c *Conn) PublishBatch(all []publish.Packet, done func(error)) error {
	if !c.nc.IsConnected() {
		return nats.ErrDisconnected
	}
	id := uuid.NewString()
	b := &batch{done: done, messages: len(all), subjects: map[string]bool{}}
	for _, p := range all {
		b.subjects[p.Subject] = true
	}
	c.mu.Lock()
	c.batches[id] = b
	b.timeout = time.AfterFunc(c.opt.AckTimeout, func() { c.endBatch(id, jetstream.ErrAsyncPublishTimeout) })
	c.mu.Unlock()
	for i, p := range all {
		m := &nats.Msg{Subject: p.Subject, Data: p.Body, Header: header(p.Body)}
		m.Header.Set(jetstream.MsgIDHeader, p.ID)
		m.Header.Set(jetstream.ExpectedStreamHeader, alert.Stream)
		m.Header.Set(headerBatch, id)
		m.Header.Set(headerSeq, strconv.Itoa(i+1))
		if i == len(all)-1 {
			m.Header.Set(headerCommit, "1")
			m.Reply = c.batchBase + "." + id
		}
		if err := c.nc.PublishMsg(m); err != nil {
			if c.takeBatch(id) == nil {
				return nil // its end is told already
			}
			return fmt.Errorf("publish a batch: %w", err)
		}
	}
	return nil
}

func (c *Conn) settleBatch(id string, m *nats.Msg) {
	if m.Header.Get("Status") == "503" {
		c.endBatch(id, nats.ErrNoResponders)
		return
	}
	var a batchAnswer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		c.endBatch(id, fmt.Errorf("the answer to a batch: %w", err))
		return
	}
	switch {
	case a.Error != nil:
		if a.Error.Code == codeBatchDisabled || a.Error.Code == codeBatchUnsupported {
			c.unbatched.Store(true)
		}
		c.endBatch(id, fmt.Errorf("%w: %s", publish.ErrBatch, a.Error.Description))
	case a.Batch != id:
		c.unbatched.Store(true)
		c.endBatch(id, fmt.Errorf("%w: the server knows no batches", publish.ErrBatch))
	default:
		c.endBatch(id, nil)
	}
}

// endBatch tells a batch's end, once.
func (c *Conn) endBatch(id string, err error) {
	if b := c.takeBatch(id); b != nil {
		b.done(err)
	}
}

func (c *Conn) takeBatch(id string) *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.batches[id]
	if b != nil {
		b.timeout.Stop()
		delete(c.batches, id)
	}
	return b
}

func (c *Conn) failBatches(err error) {
	c.mu.Lock()
	var ids []string
	for id := range c.batches {
		ids = append(ids, id)
	}
	c.mu.Unlock()
	for _, id := range ids {
		c.endBatch(id, err)
	}
}
