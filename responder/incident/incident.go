// Package incident says which alerts belong together and what states their
// incident goes through.
//
// An incident gathers the alerts of one cluster that have the same Key: what is
// attacked, as far as the responder itself could confirm it. Each further alert
// joins it and raises its priority if it is more severe. When no alert has come
// for a while (DefaultWindow), or a person has closed it, the next alert of that
// key opens another. Equal alerts of one incident are one row with a count, see
// Fingerprint.
//
//	               effect verified            a person
//	first alert ─▶ open ───────────▶ contained ──────▶ resolved, false_positive
//	                 ▲ ◀────────────── │                   ▲
//	                 │  later attack                       │
//	                 └─────────── a person ────────────────┘
//
// At most one incident of a key takes alerts at a time; the database keeps that
// with a unique index. Every change of a state is a row of its history and an
// entry of the audit record, see Change. Times are the responder's: a node whose
// clock is wrong must not keep an incident open.
//
// An incident can also be about what does not come: see package
// responder/ingest/watch for gaps and silence.
package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"riposte/agent/alert"
	"riposte/responder/playbook"
)

// DefaultWindow is how long an incident waits for its next alert.
const DefaultWindow = time.Hour

// MaxKey bounds a key and a title, in bytes. The database's index takes no long
// key, and an attacker chooses names of files and processes.
const MaxKey = 256

// Key is what the alerts of one incident share within a cluster, MaxKey bytes at
// most. What the node claims and nobody confirmed never reaches another node's
// key:
//
//	owner/<namespace>/<Kind>/<name>  a bound pod that has a controller
//	pod/<uid>                        a bound pod without one
//	node/<node>/pod/<uid>            a pod that is not known
//	node/<node>/container/<id>       a container outside Kubernetes
//	node/<node>/process/<path>       a process of the host
//	node/<node>/rule/<rule>          an alert that names no process
//	forged/<node>                    a node that names pods of other nodes
//	intake/<identity>/...            what came over the HTTP intake and names no known pod
func Key(a *alert.Alert, binding playbook.Binding, pod *playbook.Pod) string {
	r := a.Riposte
	switch {
	case r == nil:
		return bound("host/" + a.Hostname + "/rule/" + a.Rule)
	case binding == playbook.Forged && r.Intake != "":
		return bound("forged/intake/" + r.Intake)
	case binding == playbook.Forged:
		return bound("forged/" + r.Node)
	case binding == playbook.Bound && pod != nil && pod.Owner != "":
		return bound("owner/" + pod.Namespace + "/" + pod.Owner)
	case binding == playbook.Bound && pod != nil:
		return bound("pod/" + pod.UID)
	}
	node := "node/" + r.Node
	if r.Intake != "" { // its node is no more than a claim
		node = "intake/" + r.Intake + "/" + r.Node
	}
	switch {
	case r.Pod != nil && r.Pod.UID != "":
		return bound(node + "/pod/" + r.Pod.UID)
	case r.Container != nil && r.Container.ID != "":
		return bound(node + "/container/" + r.Container.ID)
	case r.Process != nil && r.Process.ExePath != "":
		return bound(node + "/process/" + r.Process.ExePath)
	case r.Process != nil && r.Process.Name != "":
		return bound(node + "/process/" + r.Process.Name)
	}
	return bound(node + "/rule/" + a.Rule)
}

// GapKey and SilenceKey are the keys of incidents about what does not come.
func GapKey(node, bootID string) string { return bound("gap/" + node + "/" + bootID) }

// SilenceKey is the key of the incident about an agent that says nothing.
func SilenceKey(node string) string { return bound("silence/" + node) }

// Kinds of incidents.
const (
	KindAlerts  = "alerts"
	KindGap     = "gap"
	KindSilence = "silence"
)

// Title names the incident for a person: its first alert's rule and what it is about.
func Title(a *alert.Alert, binding playbook.Binding, pod *playbook.Pod) string {
	r := a.Riposte
	switch {
	case r == nil:
		return bound(a.Rule + " on " + a.Hostname)
	case binding == playbook.Forged && r.Intake != "":
		return bound("the intake's identity " + r.Intake + " named a pod that it may not speak of")
	case binding == playbook.Forged:
		return bound("node " + r.Node + " named a pod of another node")
	case binding == playbook.Bound && pod != nil:
		return bound(a.Rule + " in pod " + pod.Namespace + "/" + pod.Name)
	case r.Container != nil && r.Container.ID != "":
		id := r.Container.ID
		return bound(a.Rule + " in container " + id[:min(len(id), 12)] + " on " + r.Node)
	}
	return bound(a.Rule + " on " + r.Node)
}

// bound makes text fit to be stored: UTF-8 without NUL, and if it is too long its
// beginning with the hash of the whole, so that unequal texts stay unequal.
func bound(s string) string {
	clean := strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(clean) <= MaxKey && clean == s {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	mark := "#" + hex.EncodeToString(sum[:16])
	end := min(len(clean), MaxKey-len(mark))
	for end > 0 && end < len(clean) && !utf8.RuneStart(clean[end]) {
		end--
	}
	return clean[:end] + mark
}
