package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"riposte/responder/store"
)

// clean checks an entry and makes every text of it fit for the body, a column and a
// terminal. Odd bytes are replaced, not refused: an entry that cannot be written
// would stop the action that it is about.
func (e Entry) clean() (Entry, error) {
	switch {
	case e.Cluster == "" || !utf8.ValidString(e.Cluster) || strings.Contains(e.Cluster, "\x00"):
		return e, fmt.Errorf("audit entry: cluster %q is empty or no text", clip(e.Cluster, maxName))
	case !kinds[e.Kind]:
		return e, fmt.Errorf("audit entry: unknown kind %q", e.Kind)
	case e.Actor == "":
		return e, fmt.Errorf("audit entry of kind %s: actor is empty", e.Kind)
	}
	var err error
	for _, id := range []struct {
		name string
		of   *string
	}{{"why.alert_id", &e.Why.AlertID}, {"why.incident_id", &e.Why.IncidentID}, {"what.action_id", &e.What.ActionID}} {
		if *id.of, err = canonicalID(id.name, *id.of); err != nil {
			return e, err
		}
	}
	if e.What.Params, err = canonicalParams(e.What.Params); err != nil {
		return e, err
	}
	if name, of, found := strings.Cut(e.Actor, "@"); found && e.Why.Playbook == "" && strings.HasPrefix(name, playbookActor) {
		e.Why.Playbook, e.Why.Revision = name[len(playbookActor):], of
	}
	for _, s := range []*string{
		&e.Actor, &e.Namespace, &e.Result, &e.Why.Rule, &e.Why.Playbook, &e.Why.Revision, &e.What.Type, &e.What.UID, &e.What.Kind, &e.What.Namespace, &e.What.Name, &e.What.Node,
	} {
		*s = plain(*s)
	}
	e.Note, e.Why.Reason, e.What.Object = long(e.Note), long(e.Why.Reason), long(e.What.Object)
	e.What.Labels = Labels(e.What.Labels)
	return e, nil
}

// Labels are an object's labels as the record keeps them: bounded, and fit for a column.
func Labels(all map[string]string) map[string]string {
	if len(all) == 0 {
		return nil
	}
	kept := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(all))[:min(len(all), maxLabels)] {
		kept[plain(k)] = plain(all[k])
	}
	return kept
}

// canonicalID writes a UUID in its one lower-case form, because the column does.
func canonicalID(name, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return "", fmt.Errorf("audit entry: %s %q is not a UUID", name, clip(s, maxName))
	}
	return id.String(), nil
}

// canonicalParams sorts the keys and takes the white space out.
func canonicalParams(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > maxParams {
		sum := sha256.Sum256(raw)
		return fmt.Appendf(nil, `{"bytes":%d,"sha256":"%s"}`, len(raw), hex.EncodeToString(sum[:])), nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("audit entry: what.params: %w", err)
	}
	if dec.More() {
		return nil, errors.New("audit entry: what.params holds more than one JSON value")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("audit entry: what.params: %w", err)
	}
	return []byte(store.Text(strings.TrimSuffix(b.String(), "\n"))), nil
}

// plain makes a name fit for a column and a terminal.
func plain(s string) string {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			s = strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return utf8.RuneError
				}
				return r
			}, strings.ToValidUTF8(s, string(utf8.RuneError)))
			break
		}
	}
	return clip(s, maxName)
}

// long bounds a text that keeps its line ends.
func long(s string) string { return clip(store.Text(s), maxText) }

// clip cuts a text at a character's border and says so.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = " [cut]"
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
