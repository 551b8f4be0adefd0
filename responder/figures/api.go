package figures

import "riposte/responder/api"

func (f *Figures) apiSources(s *Sources) {
	f.pull(Counter, "riposte_audit_verifications_total",
		"Verifications of the record that somebody asked this responder for: ok, broken if it was changed, failed if it could not be read to its end.", []string{"result"},
		func(set set) { each(s.Verifications, set) })
	events := func(kind Kind, name, help string, read func(api.EventsStatus) float64) {
		f.pull(kind, name, help, nil, func(set set) {
			if s.Events != nil {
				set(read(s.Events()))
			}
		})
	}
	events(Gauge, "riposte_api_event_subscribers", "Who hears the stream of events now.", func(e api.EventsStatus) float64 { return float64(e.Subscribers) })
	events(Counter, "riposte_api_events_dropped_total", "Subscribers of the stream of events that were cut off because they did not keep up.", func(e api.EventsStatus) float64 { return float64(e.Dropped) })
	events(Counter, "riposte_api_events_refused_total", "Subscribers of the stream of events that there was no room for.", func(e api.EventsStatus) float64 { return float64(e.Refused) })
}
