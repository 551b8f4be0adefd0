package command

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

func newAlertsShow() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "show ID", Short: "Show one alert with its output fields", Args: cobra.ExactArgs(1), ValidArgsFunction: once(completeAlerts),
		Long:    "Show one alert with its output fields. -o json has all that the agent sent.\nThe id may be given by its last group, as the lists show it.",
		Example: "  riposte alerts show 6f0c2b7a91de\n  riposte alerts show 6f0c2b7a91de -o jsonpath={.body.output_fields}",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				a, err := c.Alert(ctx, args[0])
				if err != nil {
					return err
				}
				return showAlert(&p, a)
			})
		},
	}
	printerFlags(c, &p)
	return c
}

func showAlert(p *printer, a api.Alert) error {
	if !p.text() {
		return p.value(a)
	}
	p.widths = []int{9, 0}
	if err := p.rows([][]string{
		{"Alert", a.ID},
		{"Rule", recording(a) + a.Rule},
		{"Priority", a.Priority},
		{"Where", place(a)},
		{"Node", a.Node},
		{"Cluster", a.Cluster},
		{"Binding", a.Binding},
		{"Time", utc(a.Time)},
		{"Received", utc(a.ReceivedAt)},
		{"Times", strconv.FormatInt(a.Count, 10)},
		{"Incident", a.IncidentID},
		{"Output", a.Output},
	}); err != nil {
		return err
	}
	var body struct {
		Fields map[string]json.RawMessage `json:"output_fields"`
	}
	if json.Unmarshal(a.Body, &body) != nil || len(body.Fields) == 0 {
		return nil // what is there has been printed
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(body.Fields)) {
		value := string(body.Fields[name])
		var text string
		if json.Unmarshal(body.Fields[name], &text) == nil {
			value = text
		}
		rows = append(rows, []string{name, p.cut(value, 300)})
	}
	if _, err := fmt.Fprintln(p.out); err != nil {
		return err
	}
	return p.table([]string{"FIELD", "VALUE"}, rows)
}
