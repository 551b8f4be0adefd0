package agent

import (
	"riposte/agent/config"
	"riposte/agent/publish"
	"riposte/agent/rules"
)

// settings are what an event is looked at with, from the first rule to the last
// output. They never change; others take their place between two events.
type settings struct {
	rules *rules.Ruleset
	// muted are types that no rule sees.
	muted [256]bool
	// outputs take each alert. channels are those of them that Falco has too, which
	// write it as encoding says.
	outputs  []output
	channels []channel
	encoding publish.Encoding

	drops     *DropPolicy
	snapshots *Snapshots
	// ruleFiles and configFiles are what was read last, for the metrics.
	ruleFiles   []rules.File
	configFiles []config.File
}

// newSettings makes the settings of options, with the rules and channels that
// were made of them.
func (a *Agent) newSettings(o *Options, set *rules.Ruleset, files []rules.File, channels []channel) *settings {
	s := &settings{
		rules: set, ruleFiles: files, channels: channels, encoding: o.Encoding, drops: o.Drops, snapshots: o.Snapshots, configFiles: o.ConfigFiles,
	}
	for _, t := range o.Muted {
		s.muted[t] = true
	}
	if a.outbox != nil {
		s.outputs = append(s.outputs, a.outbox)
	}
	for _, c := range channels {
		s.outputs = append(s.outputs, c)
	}
	return s
}

// swap puts settings in force. No event has made its first alert then and not yet
// its last one, so that each is looked at, and told, with the old ones or the new.
func (p *pipeline) swap(next *settings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range next.channels {
		c.SetEncoding(next.encoding)
	}
	p.interest.void() // before: what the old rules did not want, the new ones may
	p.current.Store(next)
}
