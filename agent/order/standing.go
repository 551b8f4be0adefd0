package order

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"riposte/agent/alert"
)

// MaxStandingBytes bounds one signed Standing's or Switch's JSON.
const MaxStandingBytes = 512 << 10

// Bounds of a Standing.
const (
	MaxTriggers = 1000
	// MaxImmediate bounds the lease of an immediate containment, DefaultImmediate is
	// what it is if a trigger does not say.
	MaxImmediate     = 10 * time.Minute
	DefaultImmediate = 30 * time.Second
)

// Standing is what an agent may do before anybody has decided: contain the
// container in which a rule fired, at once and for a short time. The responder
// sends it to all agents of a cluster again and again; an agent keeps the one with
// the highest serial on its disk, so that it works while everything else is away.
type Standing struct {
	Cluster string `json:"cluster"`
	// Serial grows with each message: an older one than the one that is held is refused.
	Serial uint64 `json:"serial"`
	// Expires ends the agents' leave to contain; what it protects stays protected.
	Expires  time.Time `json:"expires"`
	Triggers []Trigger `json:"triggers,omitempty"`
	Protect  Protect   `json:"protect"`
}

// Trigger lets one playbook's alerts be contained at once. A key that is empty does
// not matter; all that are given must fit, as in a playbook.
type Trigger struct {
	Playbook string `json:"playbook"`
	// Contain is Freeze or Cut.
	Contain  Kind            `json:"contain"`
	Rules    []string        `json:"rules,omitempty"`
	Tags     []string        `json:"tags,omitempty"`
	Sources  []string        `json:"sources,omitempty"`
	Priority *alert.Priority `json:"priority,omitempty"`
	// Namespaces and Labels are the playbook's canary: only a pod in one of these
	// namespaces and with all of these labels is contained. Empty: every container.
	Namespaces []string          `json:"namespaces,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	// LeaseNS is how long it lasts if nobody confirms it; DefaultImmediate if 0.
	LeaseNS int64 `json:"lease_ns,omitempty"`
}

// Matches says whether an alert with these properties is the trigger's.
func (t Trigger) Matches(rule, source string, priority alert.Priority, tags []string) bool {
	switch {
	case len(t.Rules) > 0 && !slices.Contains(t.Rules, rule):
	case t.Priority != nil && priority > *t.Priority:
	case len(t.Sources) > 0 && !slices.Contains(t.Sources, source):
	case len(t.Tags) > 0 && !slices.ContainsFunc(t.Tags, func(tag string) bool { return slices.Contains(tags, tag) }):
	default:
		return true
	}
	return false
}

// Protect is what no order and no immediate containment may touch.
type Protect struct {
	Namespaces []string `json:"namespaces,omitempty"`
	// Names are patterns as path.Match has them, for the names of pods, of their
	// owners and of containers; with a slash for namespace/name.
	Names []string `json:"names,omitempty"`
	// Labels protect each pod that has one of them with that value, in any case of letters.
	Labels map[string]string `json:"labels,omitempty"`
}

// Switch is the kill switch: while it is on, an agent begins no containment, be it
// ordered or immediate; it still lifts what is held. It does not expire: only a
// Switch with a higher serial changes it.
type Switch struct {
	Cluster string `json:"cluster"`
	Serial  uint64 `json:"serial"`
	On      bool   `json:"on"`
	// Playbooks are switched off while the rest is not: they contain nothing at once.
	Playbooks []string  `json:"playbooks,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Actor     string    `json:"actor,omitempty"`
	At        time.Time `json:"at"`
}

// StandingSubject is where a cluster's agents hear Standings.
func StandingSubject(cluster string) string { return "standing." + alert.Token(cluster) }

// SwitchSubject is where a cluster's agents hear of the kill switch.
func SwitchSubject(cluster string) string { return "switch." + alert.Token(cluster) }

// SignStanding makes the message to send.
func SignStanding(key ed25519.PrivateKey, s Standing) ([]byte, error) {
	return seal(domainStanding, key, s)
}

// SignSwitch makes the message to send.
func SignSwitch(key ed25519.PrivateKey, s Switch) ([]byte, error) {
	return seal(domainSwitch, key, s)
}

// OpenStanding checks a message's signature, cluster and shape. It does not look at
// serial and expiry, for a Standing that has expired still protects.
func OpenStanding(key ed25519.PublicKey, message []byte, cluster string) (Standing, error) {
	s, err := openBounded[Standing](domainStanding, key, message)
	if err != nil {
		return Standing{}, err
	}
	return s, s.check(cluster)
}

// OpenSwitch checks a message's signature and cluster.
func OpenSwitch(key ed25519.PublicKey, message []byte, cluster string) (Switch, error) {
	s, err := openBounded[Switch](domainSwitch, key, message)
	switch {
	case err != nil:
		return Switch{}, err
	case s.Cluster != cluster:
		return Switch{}, ErrNotMine
	case s.Serial == 0:
		return Switch{}, errNoSerial
	}
	return s, nil
}

var errNoSerial = errors.New("serial: is missing")

func openBounded[T any](domain string, key ed25519.PublicKey, message []byte) (v T, err error) {
	if len(message) > MaxStandingBytes {
		return v, fmt.Errorf("a message of %d bytes is over the limit of %d", len(message), MaxStandingBytes)
	}
	return unseal[T](domain, key, message)
}

func (s Standing) check(cluster string) error {
	switch {
	case s.Cluster != cluster:
		return ErrNotMine
	case s.Serial == 0:
		return errNoSerial
	case s.Expires.IsZero():
		return errors.New("expires: is missing")
	case len(s.Triggers) > MaxTriggers:
		return fmt.Errorf("triggers: there are %d, %d are allowed", len(s.Triggers), MaxTriggers)
	}
	for _, p := range s.Protect.Names {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("protect.names: %.80q is no pattern", p)
		}
	}
	for i, t := range s.Triggers {
		if err := t.check(); err != nil {
			return fmt.Errorf("triggers[%d]: %w", i, err)
		}
	}
	return nil
}

func (t Trigger) check() error {
	switch {
	case t.Playbook == "":
		return errors.New("playbook: is missing")
	case !t.Contain.Held():
		return fmt.Errorf("contain: %.40q is neither %s nor %s", t.Contain, Freeze, Cut)
	case len(t.Rules) == 0 && len(t.Tags) == 0 && len(t.Sources) == 0 && t.Priority == nil:
		return errors.New("it would fit every alert")
	case t.LeaseNS < 0 || t.LeaseNS > int64(MaxImmediate):
		return fmt.Errorf("lease_ns: %d is not between 0 and %d", t.LeaseNS, int64(MaxImmediate))
	}
	return nil
}
