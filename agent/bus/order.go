package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"riposte/agent/order"
)

// Bounds of what the responder's key could ask of a node at once.
const (
	ordersAtOnce  = 8
	ordersWaiting = 256
)

// HandleOrders gives each order's message to handle and sends back what it
// returns; nil sends nothing. Several run at once, and handle's ctx ends at
// Close. It may be called once.
func (c *Conn) HandleOrders(handle func(ctx context.Context, message []byte) []byte) error {
	slots := make(chan struct{}, ordersAtOnce)
	sub, err := c.nc.Subscribe(order.Subject(c.opt.Cluster, c.opt.Node), func(m *nats.Msg) {
		select {
		case slots <- struct{}{}:
		case <-c.ctx.Done():
			return
		}
		if !c.begin() {
			return
		}
		go func() {
			defer func() { <-slots; c.handlers.Done() }()
			receipt := handle(c.ctx, m.Data)
			if receipt == nil || m.Reply == "" {
				return
			}
			if err := m.Respond(receipt); err != nil {
				// The responder repeats the order and gets the same receipt.
				c.opt.Log.Warn("a receipt was not sent", "error", err)
			}
		}()
	})
	if err != nil {
		return fmt.Errorf("subscribe to the orders: %w", err)
	}
	if err := sub.SetPendingLimits(ordersWaiting, ordersWaiting*order.MaxBytes); err != nil {
		return fmt.Errorf("bound the waiting orders: %w", err)
	}
	c.mu.Lock()
	c.subscriptions = append(c.subscriptions, sub)
	c.mu.Unlock()
	return nil
}

// begin counts one more handler, unless Close has begun to wait for them.
func (c *Conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.handlers.Add(1)
	return true
}
