package intake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"riposte/agent/alert"
)

// maxHostname bounds what becomes a node's name, as Kubernetes does.
const maxHostname = 253

// space is the namespace of the ids that are made of what was sent.
var space = uuid.MustParse("6b0f1d0e-6d6c-4f0e-9d55-3c0a5f6c7a11")

// errNotAllowed says that an identity may not speak of what its alert is about.
var errNotAllowed = errors.New("this identity may not speak of it")

// read makes an alert of what Falco or Falcosidekick posted: one JSON object with
// the keys output, priority, rule, time, output_fields, source, tags, hostname and
// uuid. Its part for us says what the identity may say and nothing more; a part
// that was sent is not believed. What is posted twice becomes the same alert twice.
func read(body []byte, d *Identity) (*alert.Alert, error) {
	a := new(alert.Alert)
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(a); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object: send one alert at a time")
	}
	switch {
	case a.Rule == "":
		return nil, errors.New("rule: is empty")
	case a.Time.IsZero():
		return nil, errors.New("time: is zero")
	case len(a.OutputFields) == 0:
		return nil, errors.New("output_fields: is empty")
	}
	if a.Source == "" {
		a.Source = "syscall"
	}
	f := fields(a.OutputFields)
	cluster, err := d.cluster(f)
	if err != nil {
		return nil, err
	}
	if err := d.namespace(f); err != nil {
		return nil, err
	}
	id := identify(a.UUID, body, d)
	if a.UUID != "" {
		if a.Extra == nil {
			a.Extra = map[string]json.RawMessage{}
		}
		a.Extra["uuid_received"], _ = json.Marshal(a.UUID) // a text
	}
	a.UUID = id
	a.Riposte = &alert.Riposte{
		Schema: alert.Schema, Cluster: cluster, Node: d.node(a.Hostname), BootID: id, Seq: 1, KernelTimeNS: a.Time.UnixNano(),
		Intake: d.Name, Container: f.container(), Pod: f.pod(), Process: f.process(),
	}
	return a, nil
}

// identify makes an id of Falcosidekick's uuid, or of the body where there is none.
// The inbox keeps it for as long as it keeps others, so a repeated post is one alert.
func identify(given string, body []byte, d *Identity) string {
	key := "uuid " + given
	if given == "" {
		sum := sha256.Sum256(body)
		key = "body " + hex.EncodeToString(sum[:])
	}
	return uuid.NewSHA1(space, []byte(d.Name+"\x00"+key)).String()
}

// node is the sender's hostname, as far as it can be a node's name: a claim.
func (d *Identity) node(hostname string) string {
	if hostname == "" || len(hostname) > maxHostname || !utf8.ValidString(hostname) || strings.ContainsFunc(hostname, unicode.IsControl) {
		return d.Name
	}
	return hostname
}

func (d *Identity) cluster(f fields) (string, error) {
	named := f.text("k8s.cluster.name")
	if named == "" {
		named = f.text("cluster")
	}
	switch {
	case len(d.Clusters) == 1 && (named == "" || named == d.Clusters[0]):
		return d.Clusters[0], nil
	case named == "":
		return "", errors.New("output_fields: name the cluster as k8s.cluster.name or cluster, for this identity speaks of several")
	case !slices.Contains(d.Clusters, named):
		return "", fmt.Errorf("%w: cluster %.100q", errNotAllowed, named)
	}
	return named, nil
}

func (d *Identity) namespace(f fields) error {
	if len(d.Namespaces) == 0 {
		return nil
	}
	found := false
	for _, key := range []string{"k8s.ns.name", "ka.target.namespace"} {
		switch ns := f.text(key); {
		case ns == "":
		case !slices.Contains(d.Namespaces, ns):
			return fmt.Errorf("%w: %s %.100q", errNotAllowed, key, ns)
		default:
			found = true
		}
	}
	if !found {
		return fmt.Errorf("%w: the alert names no namespace and this identity is limited to some", errNotAllowed)
	}
	return nil
}

// fields are an alert's output fields.
type fields map[string]any

// text is a field's text, empty if it has none that says something.
func (f fields) text(name string) string {
	s, _ := f[name].(string)
	if s == "<NA>" {
		return ""
	}
	return s
}

func (f fields) container() *alert.Container {
	id := f.text("container.id")
	if id == "" || id == "host" {
		return nil
	}
	image := f.text("container.image.repository")
	if tag := f.text("container.image.tag"); image != "" && tag != "" {
		image += ":" + tag
	}
	return &alert.Container{ID: id, Name: f.text("container.name"), Image: image}
}

func (f fields) pod() *alert.Pod {
	p := &alert.Pod{Namespace: f.text("k8s.ns.name"), Name: f.text("k8s.pod.name"), UID: f.text("k8s.pod.uid")}
	if p.Name == "" && p.UID == "" {
		return nil
	}
	return p
}

func (f fields) process() *alert.Process {
	p := &alert.Process{Name: f.text("proc.name"), ExePath: f.text("proc.exepath")}
	if p.Name == "" && p.ExePath == "" {
		return nil
	}
	return p
}
