package figures

import (
	"context"
	"maps"
	"slices"
)

// ingestCounters are ingest's counters with what they mean, but for those that other
// metrics show with more labels.
var ingestCounters = [][2]string{
	{"rejected_oversize", "Messages put aside because they are too large."},
	{"rejected_malformed", "Messages put aside because they are no alert."},
	{"rejected_foreign", "Messages put aside because they speak of another node than their subject."},
	{"failed", "Alerts that could not be stored by their own fault and are tried again."},
	{"waited", "Messages that were given back because the database is away."},
	{"deferred", "Alerts that come again because their pod cannot be told yet."},
	{"unanswered", "Answers that did not get to the broker: the message comes again."},
	{"losses", "Announcements by agents of alerts that they had to drop."},
	{"dead_letters", "Messages that were put among the dead letters."},
	{"dead_letters_dropped", "Messages that were given up without being kept as dead letters."},
	{"heartbeats", "Heartbeats of agents that were written down."},
	{"heartbeats_rejected", "Heartbeats that were dropped: not the node's, malformed, or not stored."},
	{"actions", "Actions that were planned."},
}

var busCounters = [][2]string{
	{"reconnects", "How often the connection to NATS came back."},
	{"errors", "Errors that NATS reported."},
	{"receipts_bad", "Answers to orders that are no receipt for them."},
	{"orders_repeated", "Orders that were sent again for want of a receipt."},
	{"heartbeats_dropped", "Bursts of heartbeats that came faster than they could be taken."},
	{"admissions", "Agents that were let in to NATS by their pod's token."},
	{"admissions_refused", "Connections to NATS that were refused: no token, or not one of an agent's pod."},
	{"admissions_failed", "Questions who wants to connect to NATS that could not be answered; the agent comes again."},
	{"admissions_dropped", "Bursts of such questions that came faster than they could be taken."},
	{"announces_failed", "Kill switches or standing orders that could not be sent to a cluster's agents; they are sent again."},
	{"clusters_over", "Heartbeats of clusters that there is no room to remember."},
}

func (f *Figures) intakeSources(s *Sources) {
	for _, row := range ingestCounters {
		f.pull(Counter, "riposte_ingest_"+row[0]+"_total", row[1], []string{"way"}, func(set set) {
			for _, way := range slices.Sorted(maps.Keys(s.Ingest)) {
				set(float64(s.Ingest[way]()[row[0]]), way)
			}
		})
	}
	f.pull(Counter, "riposte_intake_posts_total", "Posts to the HTTP intake by their answer: stored, dead_letters, answered_again, unauthorized, not_allowed, bad, too_large, busy.",
		[]string{"result"}, func(set set) { each(s.Intake, set) })
	f.pull(Counter, sidekick+"inputs_total", "Alerts that came in, as Falcosidekick counts them: source requests is the HTTP intake, bus the agents.", []string{"source", "status"}, s.inputs)
	f.counted("riposte_bus_", busCounters, s.Bus)
	f.pull(Gauge, "riposte_bus_connected", "Whether NATS can be reached: 1 or 0.", nil, func(set set) {
		if s.Connected != nil {
			set(number(s.Connected()))
		}
	})
	type backlog struct{ waiting, unanswered uint64 }
	bus := &kept[backlog]{now: s.Now, ask: func(ctx context.Context) (b backlog, err error) {
		b.waiting, b.unanswered, err = s.Backlog(ctx)
		return b, err
	}}
	f.pull(Gauge, "riposte_bus_stream_messages", "Messages of the stream of alerts, of all responders together: waiting for one, or unanswered, which one has taken.", []string{"state"}, func(set set) {
		if s.Backlog == nil {
			return
		}
		if b, ok := bus.get(); ok {
			set(float64(b.waiting), "waiting")
			set(float64(b.unanswered), "unanswered")
		}
	})
}

// inputs are Falcosidekick's two numbers for each way in.
func (s *Sources) inputs(set set) {
	if s.Intake != nil {
		n := s.Intake()
		set(float64(n["stored"]+n["dead_letters"]), "requests", "accepted")
		set(float64(n["unauthorized"]+n["not_allowed"]+n["bad"]+n["too_large"]+n["busy"]), "requests", "rejected")
	}
	if bus := s.Ingest["bus"]; bus != nil {
		n := bus()
		set(float64(n["stored"]), "bus", "accepted")
		set(float64(n["rejected_oversize"]+n["rejected_malformed"]+n["rejected_foreign"]), "bus", "rejected")
	}
}
