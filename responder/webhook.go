package responder

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"riposte/responder/notify"
)

// readWebhooks reads the file that names where actions may post to: a map of names
// to a URL and the file of the secret that is shared with the receiver. The URL
// itself may hold a token, so others must not be able to read the file.
func readWebhooks(file string) (*notify.Webhooks, error) {
	if file == "" {
		return notify.New(nil)
	}
	b, err := readSecret("the webhooks", file)
	if err != nil {
		return nil, err
	}
	var named map[string]struct {
		URL        string `yaml:"url"`
		SecretFile string `yaml:"secret_file"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	decoder.KnownFields(true)
	if err := decoder.Decode(&named); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the webhooks, %s: %w", file, err)
	}
	to := map[string]notify.Destination{}
	for name, d := range named {
		if d.SecretFile == "" {
			return nil, fmt.Errorf("the webhooks, %s: webhook %q has no secret_file", file, name)
		}
		secret, err := readSecret(fmt.Sprintf("the secret of webhook %q", name), d.SecretFile)
		if err != nil {
			return nil, err
		}
		to[name] = notify.Destination{URL: d.URL, Secret: secret}
	}
	hooks, err := notify.New(to)
	if err != nil {
		return nil, fmt.Errorf("the webhooks, %s: %w", file, err)
	}
	return hooks, nil
}
