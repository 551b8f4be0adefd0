package standalone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"riposte/deploy/standalone/sandbox"
	"riposte/responder/action"
	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/command"
)

// drillTime bounds one drill, from the attack to the verified effect.
const drillTime = 20 * time.Second

// Attack is what the drill types: the shell itself reads the file that holds
// the passwords (the sandbox's own, worth nothing).
const Attack = "while read -r line; do :; done < /etc/shadow"

// Drill attacks a container of our own on this host and watches what a running
// Riposte does about it. Where the events are a recording nothing is attacked:
// the recording's own attack is waited for. The error says how far it came.
func Drill(ctx context.Context, c *client.Client, cgroupRoot string, progress func(string)) (api.Timeline, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drillTime, fmt.Errorf("no verified effect within %s", drillTime))
	defer cancel()
	status, err := awaitAgent(ctx, c)
	if err != nil {
		return api.Timeline{}, err
	}
	if slices.ContainsFunc(status.Agents, func(a api.Agent) bool { return a.Source == "recorded" }) {
		progress("the events are a recording: waiting for the attack in it, nothing is really contained")
		return watchRecording(ctx, c)
	}
	sandbox.Sweep(cgroupRoot)
	return attackSandbox(ctx, c, cgroupRoot, progress)
}

// awaitAgent waits until an agent has said that it lives.
func awaitAgent(ctx context.Context, c *client.Client) (api.Status, error) {
	for {
		status, err := c.Status(ctx)
		switch {
		case err != nil:
			return status, err
		case slices.ContainsFunc(status.Agents, func(a api.Agent) bool { return time.Since(a.SeenAt) < time.Minute }):
			return status, nil
		}
		select {
		case <-ctx.Done():
			return status, errors.New("no agent has reported for a minute: is `riposte agent` running on this host?")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func attackSandbox(ctx context.Context, c *client.Client, cgroupRoot string, progress func(string)) (t api.Timeline, err error) {
	var box *sandbox.Sandbox
	defer func() {
		if box != nil {
			err = errors.Join(err, box.Close())
		}
	}()
	for e, failure := range c.Events(ctx, "") {
		switch {
		case failure != nil:
			return t, failure
		case e.Name == api.EventReady && box == nil:
			// Whatever happens from here on is in the stream.
			if box, err = sandbox.Start(sandbox.Options{Root: cgroupRoot, Cgroup: sandbox.Drills}); err != nil {
				return t, err
			}
			progress(fmt.Sprintf("in container %.12s a shell on a terminal reads /etc/shadow", box.ID))
			if err := box.Type(Attack); err != nil {
				return t, fmt.Errorf("type at the sandbox's terminal: %w", err)
			}
		case e.Name == api.EventAction && box != nil:
			done, err := e.Action()
			if err != nil {
				return t, err
			}
			if !about(done, box.ID) || !ended(done) {
				continue
			}
			if t, err = c.Timeline(ctx, done.ID); err != nil {
				return t, err
			}
			return t, confirm(ctx, t, done, box)
		}
	}
	return t, diagnose(c, box, context.Cause(ctx))
}

// about says whether the action's target is the container.
func about(a api.Action, container string) bool {
	var target action.Target
	return json.Unmarshal(a.Target, &target) == nil && target.ContainerID == container
}

// ended says that nothing more will come of the action.
func ended(a api.Action) bool {
	return a.VerifiedAt != nil || !slices.Contains([]string{"planned", "executing", "succeeded"}, a.State)
}

// confirm looks at the sandbox itself, whatever the record says.
func confirm(ctx context.Context, t api.Timeline, a api.Action, box *sandbox.Sandbox) error {
	if !t.Verified {
		return fmt.Errorf("the action is %s, without a verified effect: %s", command.StateOf(a), a.Note)
	}
	select {
	case <-box.Exited():
	case <-ctx.Done():
		return errors.New("the record says that the container was killed, but its shell still runs")
	}
	if n, err := box.Processes(); err != nil {
		return err
	} else if n > 0 {
		return fmt.Errorf("the record says that the container was killed, but it still has %d processes", n)
	}
	if !box.Killed() {
		return errors.New("the container ended, but not by being killed")
	}
	return nil
}

// diagnose says how far the drill came when its time was up.
func diagnose(c *client.Client, box *sandbox.Sandbox, cause error) error {
	if box == nil || errors.Is(cause, context.Canceled) {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	alerts, err := c.Alerts(ctx, client.AlertFilter{Container: box.ID})
	if err != nil {
		return errors.Join(cause, err)
	}
	if len(alerts.Items) == 0 {
		return fmt.Errorf("%w: there is no alert about the container; does the agent run on this host, with the built-in rules?", cause)
	}
	actions, err := c.Actions(ctx, client.ActionFilter{Container: box.ID})
	if err != nil {
		return errors.Join(cause, err)
	}
	if len(actions.Items) == 0 {
		return fmt.Errorf("%w: there are %d alerts but no action; is a playbook for Critical alerts loaded (`riposte playbooks list`)?", cause, len(alerts.Items))
	}
	return fmt.Errorf("%w: the action is still %q: %s", cause, actions.Items[0].State, actions.Items[0].Note)
}

// watchRecording waits for the action that the recording leads to. The guard
// lets it be observed at most, so it never counts as verified.
func watchRecording(ctx context.Context, c *client.Client) (api.Timeline, error) {
	for {
		actions, err := c.Actions(ctx, client.ActionFilter{State: "observed", Limit: 1})
		if err != nil {
			return api.Timeline{}, err
		}
		if len(actions.Items) > 0 {
			return c.Timeline(ctx, actions.Items[0].ID)
		}
		select {
		case <-ctx.Done():
			return api.Timeline{}, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// PrintTimeline writes the timeline for a person, then its JSON as the last line.
func PrintTimeline(w io.Writer, t api.Timeline) error {
	what := "verified"
	switch {
	case t.Recorded:
		what = "RECORDED EVENTS: nothing was contained"
	case !t.Verified:
		what = "NOT verified"
	}
	if _, err := fmt.Fprintf(w, "%s %s (%s)\n", t.Type, t.TargetName, what); err != nil {
		return err
	}
	for _, s := range t.Stages {
		if _, err := fmt.Fprintf(w, "  %-9s +%8.3f ms  %s\n", s.Name, float64(s.NS)/1e6, s.At.UTC().Format("15:04:05.000000")); err != nil {
			return err
		}
	}
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}
