package bus

import (
	"fmt"

	"github.com/nats-io/nats.go"

	"riposte/agent/order"
)

// HandleStanding gives each message about standing orders and about the kill switch
// to its function. It may be called once.
func (c *Conn) HandleStanding(standing, kill func(message []byte)) error {
	for subject, handle := range map[string]func([]byte){
		order.StandingSubject(c.opt.Cluster): standing, order.SwitchSubject(c.opt.Cluster): kill,
	} {
		sub, err := c.nc.Subscribe(subject, func(m *nats.Msg) {
			if c.begin() {
				defer c.handlers.Done()
				handle(m.Data)
			}
		})
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		// The responder repeats them: a few are enough.
		if err := sub.SetPendingLimits(standingWaiting, standingWaiting*order.MaxStandingBytes); err != nil {
			return fmt.Errorf("bound the messages of %s: %w", subject, err)
		}
		c.mu.Lock()
		c.subscriptions = append(c.subscriptions, sub)
		c.mu.Unlock()
	}
	return nil
}

// standingWaiting bounds what waits for a slow disk.
const standingWaiting = 4
