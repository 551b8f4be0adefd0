package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Loss says which of an agent run's alerts will never come, because the agent had
// to drop them. It travels on the stream of alerts, on LossSubject, so that whoever
// counts the numbers does not wait for these.
type Loss struct {
	Schema  int    `json:"schema"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	// BootID is that of the run which made the alerts, maybe not of the one that says so.
	BootID string      `json:"boot_id"`
	Ranges []LossRange `json:"ranges"`
}

// LossRange are alerts from First to Last, of which Count were dropped.
type LossRange struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Count uint64 `json:"count"`
	// Reason is the place that dropped them, as in Heartbeat.Lost, or "several".
	Reason string `json:"reason"`
}

// MaxLossRanges bounds the ranges of one Loss.
const MaxLossRanges = 1000

// maxLossReason bounds a reason, in bytes.
const maxLossReason = 64

const lossToken = "loss"

// LossSubject is where one node says what it lost: one of Subjects.
func LossSubject(cluster, node string) string {
	return "alerts." + Token(cluster) + "." + Token(node) + "." + lossToken
}

// IsLossSubject says whether a message on subject is a Loss.
func IsLossSubject(subject string) bool {
	return strings.HasPrefix(subject, "alerts.") && strings.HasSuffix(subject, "."+lossToken)
}

// MessageID is the broker's deduplication key: equal for equal content only.
func (l *Loss) MessageID() string {
	b, _ := json.Marshal(l) // texts and numbers
	sum := sha256.Sum256(b)
	return l.Node + "/" + l.BootID + "/loss/" + hex.EncodeToString(sum[:8])
}

// Validate says what a responder cannot do without.
func (l *Loss) Validate() error {
	switch {
	case l.Schema != Schema:
		return fmt.Errorf("schema is %d, this version reads %d", l.Schema, Schema)
	case l.Cluster == "" || l.Node == "" || l.BootID == "":
		return errors.New("cluster, node or boot_id is empty")
	case len(l.Ranges) == 0 || len(l.Ranges) > MaxLossRanges:
		return fmt.Errorf("it has %d ranges, 1 to %d are allowed", len(l.Ranges), MaxLossRanges)
	}
	for i, r := range l.Ranges {
		if r.First == 0 || r.Last < r.First || r.Last >= math.MaxInt64 || r.Count == 0 || r.Count > r.Last-r.First+1 {
			return fmt.Errorf("ranges[%d]: %d of %d to %d is no range", i, r.Count, r.First, r.Last)
		}
		if len(r.Reason) > maxLossReason {
			return fmt.Errorf("ranges[%d].reason has %d bytes, %d are allowed", i, len(r.Reason), maxLossReason)
		}
	}
	return nil
}
