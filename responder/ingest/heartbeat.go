package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"riposte/agent/alert"
	"riposte/responder/store"
)

// maxHeartbeat bounds a heartbeat's JSON.
const maxHeartbeat = 64 << 10

// Heartbeats writes down what nodes' agents say of themselves, by the subjects that they
// said it on. What is not that node's heartbeat is counted and dropped.
func (in *Ingest) Heartbeats(ctx context.Context, said map[string][]byte) {
	beats := make([]store.Beat, 0, len(said))
	for subject, data := range said {
		h, err := CheckHeartbeat(subject, data)
		if err != nil {
			in.counts.heartbeatsRejected.Add(1)
			in.Log.Warn("a heartbeat was dropped", "subject", strconv.QuoteToASCII(clip(subject)), "error", strconv.QuoteToASCII(clip(err.Error())))
			continue
		}
		beats = append(beats, store.Beat{RunKey: store.RunKey{Cluster: h.Cluster, Node: h.Node, BootID: h.BootID}, Seq: h.Seq, Body: data})
	}
	if len(beats) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := in.Store.SaveBeats(ctx, beats, in.Now()); err != nil {
		in.counts.heartbeatsRejected.Add(uint64(len(beats)))
		in.Log.Warn("heartbeats were dropped", "nodes", len(beats), "error", err)
		return
	}
	in.counts.heartbeats.Add(uint64(len(beats)))
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
