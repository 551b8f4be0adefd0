package intake

import "riposte/agent/alert"

// FromFile makes an alert of what Falco wrote, as if it had been posted by an
// identity "file" that may speak of one cluster.
func FromFile(body []byte, cluster string) (*alert.Alert, error) {
	return read(body, &Identity{Name: "file", Clusters: []string{cluster}})
}
