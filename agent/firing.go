package agent

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"riposte/agent/alert"
	"riposte/agent/event"
	"riposte/agent/publish"
)

// firing is a rule that fired, as far as an alert needs it.
type firing struct {
	rule     string
	priority alert.Priority
	source   string
	tags     []string
	message  string
	fields   map[string]any
	// ruleset is the hash of the rules in force.
	ruleset string
	// contained is what was done at once, nil for nothing.
	contained *alert.Contained
}

// stamp makes alerts: it knows who we are and counts.
type stamp struct {
	cluster, node, hostname string
	boot                    string
	seq                     uint64
}

// alert builds the alert of one firing. It copies everything out of the event.
func (s *stamp) alert(e *event.Event, f firing) (*alert.Alert, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make the alert's uuid: %w", err)
	}
	s.seq++
	at := time.Unix(0, e.TimeNS)
	if f.fields == nil {
		f.fields = map[string]any{}
	}
	boundFields(f.fields)
	f.fields["evt.time"] = e.TimeNS
	if e.NameDiffers() {
		f.fields["fd.realpath"] = shorten(e.File.RealPath, maxPath)
		f.fields["fd.name_differs"] = true
	}
	return &alert.Alert{
		UUID: id.String(), Time: at, Rule: f.rule, Priority: f.priority, Source: f.source, Hostname: s.hostname, Tags: f.tags, OutputFields: f.fields,
		Output: publish.Output(at, f.priority, shorten(f.message, maxMessage)),
		Riposte: &alert.Riposte{
			Schema: alert.Schema, Cluster: s.cluster, Node: s.node, BootID: s.boot, Seq: s.seq,
			KernelTimeNS: e.TimeNS, AlertTimeNS: time.Now().UnixNano(), Ruleset: f.ruleset, Recorded: e.Recorded,
			Process: processOf(e.Proc), Container: containerOf(e.Proc), Pod: podOf(e.Proc),
			Contained: f.contained,
		},
	}, nil
}

// internal builds an alert that is about no event.
func (s *stamp) internal(f firing) (*alert.Alert, error) {
	return s.alert(&event.Event{TimeNS: time.Now().UnixNano()}, f)
}

func processOf(p *event.Process) *alert.Process {
	if p == nil {
		return nil
	}
	out := &alert.Process{PID: p.PID, StartNS: p.StartNS, Name: p.Comm, Exe: shorten(p.Exe, maxPath), ExePath: shorten(p.ExePath, maxPath), UID: p.UID}
	for left, i := maxArgBytes, 0; i < len(p.Args) && i < maxArgs && left > 0; i++ {
		out.Args = append(out.Args, shorten(p.Args[i], left))
		left -= len(p.Args[i])
	}
	for a := p.Parent; a != nil && len(out.Ancestors) < maxAncestors; a = a.Parent {
		out.Ancestors = append(out.Ancestors, a.Comm)
	}
	return out
}

func containerOf(p *event.Process) *alert.Container {
	if p == nil || p.Container == nil || p.Container.ID == "" {
		return nil
	}
	c := p.Container
	return &alert.Container{
		ID: c.ID, Name: shorten(c.Name, maxLabel), Image: shorten(c.Image, maxLabel), CgroupID: c.CgroupID, StartNS: c.StartNS,
		MetadataMissing: c.Metadata == event.MetadataAwaited || c.Metadata == event.MetadataLate,
	}
}

func podOf(p *event.Process) *alert.Pod {
	if p == nil || p.Container == nil || p.Container.Pod == nil {
		return nil
	}
	in := p.Container.Pod
	out := &alert.Pod{Namespace: in.Namespace, Name: in.Name, UID: in.UID, Owner: in.Owner}
	if len(in.Labels) > 0 {
		out.Labels = make(map[string]string, min(len(in.Labels), maxLabels))
		for k, v := range in.Labels {
			if len(out.Labels) == maxLabels {
				break
			}
			out.Labels[shorten(k, maxLabel)] = shorten(v, maxLabel)
		}
	}
	return out
}
