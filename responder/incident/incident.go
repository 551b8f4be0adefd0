// Package incident says which alerts belong together and what states their
// incident goes through.
//
// An incident gathers the alerts of one cluster that have the same Key: what is
// attacked, as far as the responder itself could confirm it. It is open from its
// first alert on; each further alert joins it and raises its priority if it is
// more severe. When no alert has come for Window it is closed, and the next alert
// of that key opens another.
//
//	            alert of the same key
//	             ┌─────┐
//	 first alert │     ▼    Window without an alert
//	────────────▶ open ──────────────────────────▶ closed
//
// A closed incident is never opened again. At most one incident of a key is open
// at a time; the database keeps that with a unique index. Times are the
// responder's: a node whose clock is wrong must not keep an incident open.
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

// Window is how long an incident waits for its next alert.
const Window = time.Hour

// State is an incident's state; the text stands in the database and the API.
type State string

// States of an incident.
const (
	Open   State = "open"
	Closed State = "closed"
)

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
func Key(a *alert.Alert, binding playbook.Binding, pod *playbook.Pod) string {
	r := a.Riposte
	switch {
	case r == nil:
		return bound("host/" + a.Hostname + "/rule/" + a.Rule)
	case binding == playbook.Forged:
		return bound("forged/" + r.Node)
	case binding == playbook.Bound && pod != nil && pod.Owner != "":
		return bound("owner/" + pod.Namespace + "/" + pod.Owner)
	case binding == playbook.Bound && pod != nil:
		return bound("pod/" + pod.UID)
	}
	node := "node/" + r.Node
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

// Title names the incident for a person: its first alert's rule and what it is about.
func Title(a *alert.Alert, binding playbook.Binding, pod *playbook.Pod) string {
	r := a.Riposte
	switch {
	case r == nil:
		return bound(a.Rule + " on " + a.Hostname)
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
