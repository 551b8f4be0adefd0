package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"riposte/agent/alert"
)

// maxHeartbeat bounds a heartbeat's JSON.
const maxHeartbeat = 64 << 10

// Heartbeat writes down what a node's agent says of itself. What is not that
// node's heartbeat is counted and dropped.
func (in *Ingest) Heartbeat(ctx context.Context, subject string, data []byte) {
	h, err := CheckHeartbeat(subject, data)
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		err = in.Store.SaveAgent(ctx, h.Cluster, h.Node, h.BootID, h.Seq, data, in.Now())
	}
	if err != nil {
		in.counts.heartbeatsRejected.Add(1)
		in.Log.Warn("a heartbeat was dropped", "subject", strconv.QuoteToASCII(clip(subject)), "error", strconv.QuoteToASCII(clip(err.Error())))
		return
	}
	in.counts.heartbeats.Add(1)
}

// CheckHeartbeat decodes a heartbeat and makes sure that it is the one its
// subject says.
func CheckHeartbeat(subject string, data []byte) (alert.Heartbeat, error) {
	if len(data) > maxHeartbeat {
		return alert.Heartbeat{}, fmt.Errorf("%d bytes, a heartbeat has %d at most", len(data), maxHeartbeat)
	}
	var h alert.Heartbeat
	if err := json.Unmarshal(data, &h); err != nil {
		return alert.Heartbeat{}, err
	}
	if want := alert.HeartbeatSubject(h.Cluster, h.Node); h.Cluster == "" || h.Node == "" || subject != want {
		return alert.Heartbeat{}, fmt.Errorf("it names node %q of cluster %q, the subject is another's", h.Node, h.Cluster)
	}
	if len(h.Cluster) > maxName || len(h.Node) > maxName {
		return alert.Heartbeat{}, fmt.Errorf("the cluster's or node's name is longer than %d bytes", maxName)
	}
	return h, checkUUID("boot_id", h.BootID)
}
