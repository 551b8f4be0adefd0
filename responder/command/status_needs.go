package command

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"riposte/agent/alert"
	"riposte/responder/api"
)

// need is one thing that a person should look at, and the command that helps.
type need struct {
	Says string `json:"says"`
	Do   string `json:"do,omitempty"`
}

const (
	// maxAsked is how many of a kind are named one by one.
	maxAsked = 5
	// behind is how many messages may wait in the stream: more are no burst of a second.
	behind = 1000
	// late is how long a planned action may wait for its execution.
	late = time.Minute
	// unsigned is how long an entry of the record may wait for its checkpoint, where
	// checkpoints are made.
	unsigned = time.Hour
)

// needsOf lists what needs a person, what stops everything first. Agents that lost
// something since their start are told of, and no need: that stays so until they start again.
func needsOf(s api.Status, asked []api.Approval, now time.Time) []need {
	all := []need{} // an empty JSON list is [], not null
	add := func(do, says string, args ...any) { all = append(all, need{fmt.Sprintf(says, args...), do}) }
	for _, part := range s.Parts {
		if !part.Works {
			add("", "%s does not work: %s", part.Name, part.Error)
		}
	}
	if k := s.KillSwitch; k.On {
		add("riposte killswitch off", "the kill switch is on: nothing is done.%s", turnedBy(k))
	}
	for _, k := range s.KillSwitch.Others {
		flag := "--playbook "
		if k.Scope == "cluster" {
			flag = "--in-cluster "
		}
		add("riposte killswitch off "+flag+quoted(k.Name), "the kill switch of %s %s is on.%s", k.Scope, k.Name, turnedBy(k))
	}
	needsOfActions(s.Actions, asked, now, add)
	needsOfIncidents(s.Incidents, add)
	needsOfAgents(s.Agents, now, add)
	if st := s.Stream; st != nil && st.Waiting >= behind {
		add("", "%d alerts wait in the stream: the responders do not keep up", st.Waiting)
	}
	if s.DeadLetters > 0 {
		add("riposte deadletters list --state dead", "%s could not be processed", count(int(s.DeadLetters), "message"))
	}
	for _, b := range s.Playbooks {
		if b.SteppedBack != "" {
			add("riposte playbooks mode "+quoted(b.Name)+" default --reason …", "playbook %s stepped back to %s by %s: %s", b.Name, b.Mode, b.SteppedBack, dash(b.ModeReason))
		}
	}
	if l := s.PlaybookLoads; l.Failing {
		add("riposte playbooks check DIR", "the playbooks were not reloaded, the ones before hold: %s", l.Error)
	}
	if l := s.GuardLoads; l.Failing {
		add("riposte guard check DIR", "the guard's rules were not reloaded, the ones before hold: %s", l.Error)
	}
	needsOfRecord(s.Record, now, add)
	return all
}

func needsOfActions(a api.ActionsStatus, asked []api.Approval, now time.Time, add func(do, says string, args ...any)) {
	for _, q := range asked {
		add("riposte actions approve "+shortID(q.Action.ID), "%s of %s waits for approval until %s, %d of %d agreed: %s",
			q.Action.Type, q.Action.TargetName, utc(q.ExpiresAt), q.Agreed, q.Needed, cut(q.Reason, 100))
	}
	if more := a.Waiting - int64(len(asked)); more > 0 {
		add("riposte actions pending", "%s more wait for approval", count(int(more), "action"))
	}
	if a.Failed > 0 {
		add("riposte actions list --state failed --since 24h", "%s failed within the last day", count(int(a.Failed), "action"))
	}
	if a.Unknown > 0 {
		add("riposte actions list --state unknown --since 24h", "nobody knows how %s of the last day ended", count(int(a.Unknown), "action"))
	}
	if a.LiftsLate > 0 {
		add("riposte actions list --state succeeded", "%s should have ended and hold still", count(int(a.LiftsLate), "effect"))
	}
	if t := a.OldestPlannedAt; t != nil && now.Sub(*t) > late {
		add("riposte actions list --state planned", "an action waits for its execution since %s", utc(*t))
	}
}

// needsOfIncidents leaves out what is less severe than an error: it is for who has time.
func needsOfIncidents(all []api.IncidentCount, add func(do, says string, args ...any)) {
	var parts []string
	n := int64(0)
	for _, i := range all {
		p, err := alert.ParsePriority(i.Priority)
		if i.State == "open" && err == nil && p <= alert.Error {
			parts = append(parts, fmt.Sprintf("%d %s", i.Count, i.Priority))
			n += i.Count
		}
	}
	if n > 0 {
		add("riposte incidents list --state open --priority error", "%s open: %s", areIncidents(n), strings.Join(parts, ", "))
	}
}

func areIncidents(n int64) string {
	if n == 1 {
		return "1 incident is"
	}
	return fmt.Sprintf("%d incidents are", n)
}

func needsOfAgents(agents []api.Agent, now time.Time, add func(do, says string, args ...any)) {
	silent := slices.DeleteFunc(slices.Clone(agents), func(a api.Agent) bool { return !a.Silent })
	for _, a := range silent[:min(len(silent), maxAsked)] {
		add("riposte agents show "+quoted(a.Cluster+"/"+a.Node), "the agent of node %s is silent, heard %s", a.Node, ago(a.SeenAt, now))
	}
	if more := len(silent) - maxAsked; more > 0 {
		add("riposte agents list --silent", "%s more are silent", count(more, "agent"))
	}
}

func needsOfRecord(r *api.RecordStatus, now time.Time, add func(do, says string, args ...any)) {
	if r == nil {
		return
	}
	if r.Verified != nil && !r.Verified.OK {
		add("riposte audit verify", "somebody changed the record: the verification of %s found it", utc(r.Verified.At))
	}
	for _, c := range r.Chains {
		if c.SignedAt != nil && c.UnsignedSince != nil && now.Sub(*c.UnsignedSince) > unsigned {
			add("riposte audit verify", "the record of %s is signed until entry %d of %d alone, nothing since %s", c.Cluster, c.Signed, c.Entries, utc(*c.SignedAt))
		}
	}
}

var word = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]*$`)

// quoted is a name as a shell takes it for one word, whatever a node calls itself:
// people copy these commands.
func quoted(name string) string {
	if word.MatchString(name) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
