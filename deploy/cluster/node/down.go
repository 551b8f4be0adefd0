package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// down ends the cluster. What is not the cluster's stays as it is.
func down(ctx context.Context, p place) error {
	c, err := findCgroup(p)
	if err != nil {
		return err
	}
	if c.holdsUs() {
		return errors.New("this shell is inside the cluster and would end with it: leave it first")
	}
	if _, err := os.Stat(p.state); errors.Is(err, fs.ErrNotExist) && !c.exists() {
		say("it is not up")
		return nil
	}
	if err := os.MkdirAll(p.state, 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, p)
	if err != nil {
		return err
	}
	defer unlock()
	if err := p.clear(ctx, c, "log"); err != nil {
		return err
	}
	if err := restoreSysctls(c); err != nil {
		return fmt.Errorf("sysctls: %w", err)
	}
	say("down; the logs are in %s", p.file("log"))
	return nil
}
