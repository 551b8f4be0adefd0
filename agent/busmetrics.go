package agent

import (
	"maps"
	"slices"

	"riposte/agent/health"
)

// busMetrics are the figures of what goes to the responder and comes from it; none
// without a bus.
func (a *Agent) busMetrics() []health.Metric {
	const gauge, counter = health.Gauge, health.Counter
	var all []health.Metric
	if a.bus != nil {
		all = append(all, health.One(gauge, own+"bus_connected", "Whether the bus can be reached: 1 or 0.", number(a.bus.Connected())))
	}
	if a.outbox != nil {
		used, limit := a.outbox.Spooled()
		all = append(all,
			health.One(gauge, own+"publish_waiting", "Alerts and announcements of losses that the bus has not acknowledged yet.", float64(a.outbox.Waiting())),
			health.One(gauge, own+"publish_queue_bytes", "Bytes of alerts that wait in memory, neither sent nor on disk.", float64(a.outbox.Queued())),
			health.One(gauge, own+"spool_bytes", "Bytes of the spool on disk.", float64(used)),
			health.One(gauge, own+"spool_limit_bytes", "Bytes that the spool may have; then the least severe alerts are dropped.", float64(limit)))
	}
	if a.contain == nil {
		return all
	}
	f := a.contain.Figures()
	holds := health.Metric{Name: own + "holds", Help: "Containers that are held now, by how.", Kind: gauge}
	for _, kind := range slices.Sorted(maps.Keys(f.Holds)) {
		holds.Samples = append(holds.Samples, health.Sample{Labels: []string{"kind", string(kind)}, Value: float64(f.Holds[kind])})
	}
	orders := health.Metric{Name: own + "orders_total", Help: "Orders of the responder by the outcome in their receipt; repeats count too.", Kind: counter}
	for _, outcome := range slices.Sorted(maps.Keys(f.Orders)) {
		orders.Samples = append(orders.Samples, health.Sample{Labels: []string{"outcome", string(outcome)}, Value: float64(f.Orders[outcome])})
	}
	all = append(all, holds, orders,
		health.One(gauge, own+"standing_triggers", "Playbooks that let the agent contain at once.", float64(f.Triggers)),
		health.One(gauge, own+"standing_serial", "The number of the standing orders that hold, 0 for none.", float64(f.Serial)),
		health.One(gauge, own+"kill_switch_on", "Whether the kill switch is on: 1 or 0.", number(f.SwitchOn)),
		health.One(gauge, own+"kill_switch_playbooks", "Playbooks that are switched off.", float64(f.PlaybooksOff)),
		health.One(gauge, own+"kill_switch_serial", "The number of the kill switch's message that holds, 0 for none.", float64(f.SwitchSerial)))
	if f.Serial > 0 {
		all = append(all, health.One(gauge, own+"standing_expires_timestamp_seconds", "When the agent's leave to contain ends unless it is renewed, Unix time.", float64(f.Expires.Unix())))
	}
	return all
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
