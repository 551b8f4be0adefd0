package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/action/notify"
)

// sender is the other side: it answers each name with an error, nil for yes.
type sender struct {
	errs map[string]error
	sent []string
	body map[string]any
}

func (s *sender) Known(name string) error {
	if _, ok := s.errs[name]; !ok {
		return errors.New("no webhook is called " + name)
	}
	return nil
}

func (s *sender) Send(_ context.Context, name, id string, body []byte) error {
	s.sent = append(s.sent, name+" "+id)
	s.body = nil
	if err := json.Unmarshal(body, &s.body); err != nil {
		return err
	}
	return s.errs[name]
}

func request(params string) action.Request {
	return action.Request{
		ID: "a-1", Params: json.RawMessage(params), Reason: "a shell\nin a pod", AlertID: "al-1",
		Target: action.Target{Kind: action.KindPod, Cluster: "c", Namespace: "shop", Name: "cart", UID: "u"},
	}
}

func TestTell(t *testing.T) {
	var log bytes.Buffer
	s := &sender{errs: map[string]error{"oncall": nil}}
	a := notify.New(slog.New(slog.NewTextHandler(&log, nil)), s)
	r := request(`{"to": ["log", "oncall"]}`)
	require.NoError(t, a.Check(r.Target, r.Params))
	require.NoError(t, a.Check(r.Target, json.RawMessage(a.Spec().Example)))
	text, err := a.Preview(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, `would tell log, oncall: "a shell\nin a pod"`, text)
	require.Empty(t, s.sent)

	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "told log, oncall", result.Note)
	require.Equal(t, []string{"oncall a-1"}, s.sent)
	require.Equal(t, "a shell\nin a pod", s.body["text"])
	require.Contains(t, log.String(), `text="a shell\nin a pod"`)
	require.Equal(t, 1, strings.Count(log.String(), "\n"), "an attacker's line feed makes no second line")
}

// One that fails keeps the others from nothing.
func TestOneFails(t *testing.T) {
	permanent := &action.Error{Kind: action.Permanent, Err: errors.New("no such channel")}
	s := &sender{errs: map[string]error{"a": permanent, "b": errors.New("timeout"), "c": nil}}
	a := notify.New(slog.New(slog.DiscardHandler), s)
	_, err := a.Execute(t.Context(), request(`{"to": ["a", "b", "c"], "text": "x"}`))
	require.ErrorContains(t, err, "no such channel")
	require.ErrorContains(t, err, "timeout")
	require.Equal(t, action.Retryable, action.KindOf(err), "b may get it yet")
	require.Len(t, s.sent, 3)
	_, err = a.Execute(t.Context(), request(`{"to": ["a", "c"]}`))
	require.Equal(t, action.Permanent, action.KindOf(err))
}

func TestParams(t *testing.T) {
	a := notify.New(slog.New(slog.DiscardHandler), &sender{})
	for params, want := range map[string]string{
		`{"to": []}`:    "params.to: has 0 names",
		`{"to": [1]}`:   "params.to: is a number",
		`{"to": ["x"]}`: "params.to: no webhook is called x",
		`{"txt": "x"}`:  `unknown key "txt": notify knows text, to`,
		`{"text": "` + strings.Repeat("x", 5000) + `"}`: "params.text: has 5000 bytes",
	} {
		require.ErrorContains(t, a.Check(request("").Target, json.RawMessage(params)), want, params)
	}
}
