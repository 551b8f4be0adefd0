package command

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"riposte/agent/alert"
	"riposte/agent/event"
	"riposte/agent/rules"
	"riposte/agent/rules/syntax"
)

// settings are those of falco.yaml that have a meaning for a replay.
type settings struct {
	json, output, message, tags, fields, iso bool
	// all reports every rule that matches an event, not the first alone.
	all bool
	// priority is the least urgent one that is reported.
	priority alert.Priority
}

// settingKeys are the settings by Falco's name.
var settingKeys = map[string]func(s *settings, value string) error{
	"json_output":                         truth(func(s *settings) *bool { return &s.json }),
	"json_include_output_property":        truth(func(s *settings) *bool { return &s.output }),
	"json_include_message_property":       truth(func(s *settings) *bool { return &s.message }),
	"json_include_tags_property":          truth(func(s *settings) *bool { return &s.tags }),
	"json_include_output_fields_property": truth(func(s *settings) *bool { return &s.fields }),
	"time_format_iso_8601":                truth(func(s *settings) *bool { return &s.iso }),
	"rule_matching": func(s *settings, value string) error {
		if value != "first" && value != "all" {
			return fmt.Errorf("%q is neither first nor all", value)
		}
		s.all = value == "all"
		return nil
	},
	"priority": func(s *settings, value string) (err error) {
		s.priority, err = alert.ParsePriority(value)
		return err
	},
}

func truth(at func(*settings) *bool) func(*settings, string) error {
	return func(s *settings, value string) error {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		*at(s) = b
		return nil
	}
}

// parseSettings reads "-o key=value" as Falco takes it.
func parseSettings(options []string) (settings, error) {
	s := settings{output: true, tags: true, fields: true, priority: alert.Debug}
	for _, o := range options {
		key, value, ok := strings.Cut(o, "=")
		if !ok {
			return s, fmt.Errorf("-o %s: write it as key=value", o)
		}
		set := settingKeys[strings.TrimSpace(key)]
		if set == nil {
			names := make([]string, 0, len(settingKeys))
			for name := range settingKeys {
				names = append(names, name)
			}
			slices.Sort(names)
			if near := syntax.Nearest(key, names); near != "" {
				return s, fmt.Errorf("-o %s: a replay has no such setting: did you mean %s?", key, near)
			}
			return s, fmt.Errorf("-o %s: a replay has no such setting; it has %s", key, strings.Join(names, ", "))
		}
		if err := set(&s, strings.TrimSpace(value)); err != nil {
			return s, fmt.Errorf("-o %s: %w", key, err)
		}
	}
	return s, nil
}

// alertPrinter writes alerts as Falco does.
type alertPrinter struct {
	settings settings
	hostname string
	out      *bufio.Writer
	enc      *json.Encoder
}

func newAlertPrinter(s settings, out *bufio.Writer) alertPrinter {
	host := os.Getenv("FALCO_HOSTNAME")
	if host == "" {
		host, _ = os.Hostname()
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return alertPrinter{settings: s, hostname: host, out: out, enc: enc}
}

// printed has Falco's keys in Falco's order.
type printed struct {
	Hostname string         `json:"hostname"`
	Message  *string        `json:"message,omitempty"`
	Output   *string        `json:"output,omitempty"`
	Fields   map[string]any `json:"output_fields,omitempty"`
	Priority alert.Priority `json:"priority"`
	Rule     string         `json:"rule"`
	Source   string         `json:"source"`
	Tags     *[]string      `json:"tags,omitempty"`
	Time     string         `json:"time"`
}

func (p *alertPrinter) print(rule *rules.Rule, e *event.Event) error {
	message, fields := rule.Format(e)
	at := time.Unix(0, e.TimeNS)
	clock := at.Format("15:04:05.000000000")
	if p.settings.iso {
		clock = at.UTC().Format("2006-01-02T15:04:05.000000000-0700")
		delete(fields, "evt.time")
		fields["evt.time.iso8601"] = e.TimeNS
	}
	line := clock + ": " + rule.Priority.String() + " " + message
	if !p.settings.json {
		_, err := p.out.WriteString(line + "\n")
		return err
	}
	out := printed{
		Hostname: p.hostname, Priority: rule.Priority, Rule: rule.Name, Source: rule.Source,
		Time: at.UTC().Format("2006-01-02T15:04:05.000000000Z"),
	}
	if p.settings.message {
		out.Message = &message
	}
	if p.settings.output {
		out.Output = &line
	}
	if p.settings.fields {
		out.Fields = fields
	}
	if p.settings.tags {
		tags := rule.Tags
		if tags == nil {
			tags = []string{}
		}
		out.Tags = &tags
	}
	return p.enc.Encode(out)
}
