package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"riposte/agent/enrich"
	"riposte/agent/event"
)

// Version is the version of the file format.
const Version = 1

const headerKey = "riposte_recording"

// line is any line of the file; one of its members is set.
type line struct {
	Version   int               `json:"riposte_recording,omitempty"`
	Cgroups   map[uint64]string `json:"cgroups,omitempty"`
	Processes []json.RawMessage `json:"processes,omitempty"`
	Cgroup    *cgroup           `json:"cgroup,omitempty"`
	Type      string            `json:"type,omitempty"`
	Event     json.RawMessage   `json:"event,omitempty"`
}

type cgroup struct {
	ID   uint64 `json:"id"`
	Path string `json:"path"`
}

func (s *Source) line(n int, text []byte) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	switch {
	case n == 1:
		return s.header(&l)
	case l.Cgroup != nil:
		s.recording.Cgroups[l.Cgroup.ID] = l.Cgroup.Path
		return nil
	case l.Event != nil:
		return s.event(n, &l)
	}
	return errors.New(`neither an "event" nor a "cgroup"`)
}

func (s *Source) header(l *line) error {
	switch l.Version {
	case Version:
	case 0:
		return fmt.Errorf("not a recording; the first line must hold %q", headerKey)
	default:
		return fmt.Errorf("format version %d, this program reads %d", l.Version, Version)
	}
	s.recording = &enrich.Recording{Cgroups: l.Cgroups}
	if s.recording.Cgroups == nil {
		s.recording.Cgroups = map[uint64]string{}
	}
	for i, raw := range l.Processes {
		var p enrich.Seed
		if err := json.Unmarshal(raw, &p); err != nil {
			return fmt.Errorf("process %d: %w", i+1, err)
		}
		p.Process.Parent, p.Process.Container = nil, nil
		s.recording.Processes = append(s.recording.Processes, p)
	}
	return nil
}

func (s *Source) event(n int, l *line) error {
	t, ok := event.TypeOf(l.Type)
	if !ok || t == event.Unknown {
		return fmt.Errorf("unknown event type %q", l.Type)
	}
	var e event.Event
	if err := json.Unmarshal(l.Event, &e); err != nil {
		return err
	}
	e.Type = t
	e.Proc, e.RealView = nil, false
	if last := len(s.events) - 1; last >= 0 && e.KernelNS+maxDisorder < s.events[last].e.KernelNS {
		return fmt.Errorf("the event is older than that of line %d", s.events[last].line)
	}
	s.events = append(s.events, numbered{line: n, e: e})
	return nil
}

// maxDisorder is how much events of several CPUs may stand out of order.
const maxDisorder = uint64(1e9)

// encodeEvent is one event's line.
func encodeEvent(e *event.Event) ([]byte, error) {
	c := *e
	c.Proc, c.RealView, c.Recorded, c.Num, c.TimeNS = nil, false, false, 0, 0
	c.Type = event.Unknown // stands beside it, by name
	raw, err := compact(c)
	if err != nil {
		return nil, err
	}
	return plain(line{Type: e.Type.String(), Event: raw})
}

// encodeHeader is the first line.
func encodeHeader(r *enrich.Recording) ([]byte, error) {
	l := line{Version: Version, Cgroups: r.Cgroups}
	for _, p := range r.Processes {
		raw, err := compact(p)
		if err != nil {
			return nil, err
		}
		l.Processes = append(l.Processes, raw)
	}
	return plain(l)
}

// compact is v as JSON without its zero values.
func compact(v any) (json.RawMessage, error) {
	full, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var tree any
	d := json.NewDecoder(bytes.NewReader(full))
	d.UseNumber() // inode numbers do not fit a float
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	return plain(prune(tree))
}

// plain is JSON for files: '<' stays as it is.
func plain(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// prune takes out the members that are zero. Elements of lists stay, for their place
// counts.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if member = prune(member); zero(member) {
				delete(v, name)
			} else {
				v[name] = member
			}
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	}
	return v
}

func zero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case json.Number:
		return v == "0"
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return reflect.ValueOf(v).IsZero()
}

func encodeCgroup(id uint64, path string) ([]byte, error) {
	return plain(line{Cgroup: &cgroup{ID: id, Path: path}})
}
