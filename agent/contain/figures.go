package contain

import (
	"maps"
	"sync"
	"time"

	"riposte/agent/order"
)

// Figures are what the agent holds and what it was told.
type Figures struct {
	// Holds are the containers that are held now.
	Holds map[order.Kind]int
	// Orders counts receipts by their outcome.
	Orders map[order.Outcome]uint64
	// Triggers are those of the standing orders, Serial is their number, 0 if there are
	// none, and Expires when they end.
	Triggers int
	Serial   uint64
	Expires  time.Time
	// SwitchOn is the kill switch, PlaybooksOff how many playbooks are switched off
	// beside it, and SwitchSerial the number of the message that said so.
	SwitchOn     bool
	PlaybooksOff int
	SwitchSerial uint64
}

// answers counts receipts.
type answers struct {
	mu  sync.Mutex
	all map[order.Outcome]uint64
}

func (a *answers) add(o order.Outcome) {
	if o == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[order.Outcome]uint64{}
	}
	a.all[o]++
}

// Figures returns them as they are now. It may wait for an effect that begins.
func (h *Handler) Figures() Figures {
	f := Figures{Holds: map[order.Kind]int{order.Freeze: 0, order.Cut: 0}}
	h.holds.mu.Lock()
	for k := range h.holds.all {
		f.Holds[k.kind]++
	}
	h.holds.mu.Unlock()
	h.answered.mu.Lock()
	f.Orders = maps.Clone(h.answered.all)
	h.answered.mu.Unlock()
	h.keep.mu.RLock()
	defer h.keep.mu.RUnlock()
	if s := h.keep.standing; s != nil {
		f.Triggers, f.Serial, f.Expires = len(s.Triggers), s.Serial, s.Expires
	}
	f.SwitchOn, f.PlaybooksOff, f.SwitchSerial = h.keep.kill.On, len(h.keep.kill.Playbooks), h.keep.kill.Serial
	return f
}
