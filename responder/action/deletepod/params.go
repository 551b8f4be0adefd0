package deletepod

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Bounds of grace_seconds. More than half a minute would leave an attacker at
// work while everybody believes that the pod is being deleted.
const (
	defaultGrace = 1
	maxGrace     = 30
)

// params are the action's parameters.
type params struct {
	// GraceSeconds is how long the pod's processes have after SIGTERM. With 0 the
	// object goes at once, while its containers may run on for a moment.
	GraceSeconds int64
}

// parseParams takes no unknown key: a misspelled one would silently mean the default.
func parseParams(raw json.RawMessage) (params, error) {
	p := params{GraceSeconds: defaultGrace}
	if len(bytes.TrimSpace(raw)) == 0 {
		return p, nil
	}
	var given *struct {
		GraceSeconds *int64 `json:"grace_seconds"`
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil {
		return p, fmt.Errorf("params: %w; %s knows grace_seconds", err, Type)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return p, errors.New("params: something follows the object")
	}
	if given == nil || given.GraceSeconds == nil {
		return p, nil
	}
	if seconds := *given.GraceSeconds; seconds < 0 || seconds > maxGrace {
		return p, fmt.Errorf("params.grace_seconds: %d is not from 0 to %d", seconds, maxGrace)
	}
	p.GraceSeconds = *given.GraceSeconds
	return p, nil
}
