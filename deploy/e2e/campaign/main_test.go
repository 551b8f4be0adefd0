package campaign

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"riposte/deploy/standalone/natsd"
	"riposte/responder/command"
)

// roleVariable has this test binary be one of the campaign's parts.
const roleVariable = "RIPOSTE_CAMPAIGN_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case "nats":
		err = serveNATS()
	case "agent":
		err = runAgent()
	case "responder":
		err = command.NewResponder("campaign", nil).Execute()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, time.Now().Format(time.TimeOnly), "ended:", err)
		os.Exit(1)
	}
}

// settings reads a part's settings from its only argument.
func settings[T any]() (s T, err error) {
	b, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

func serveNATS() error {
	o, err := settings[natsd.Options]()
	if err != nil {
		return err
	}
	if _, err := natsd.Start(o); err != nil {
		return err
	}
	select {} // it is only ever killed
}
