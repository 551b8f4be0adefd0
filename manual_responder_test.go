package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/docs/doctest"
)

// certificate makes one of this machine, signed by itself.
const certificate = `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost ` +
	`-addext subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:riposte.riposte,DNS:riposte -keyout tls.key -out tls.crt 2>/dev/null`

// The server's configuration is run, the nodes' keys are made, and what the page says of
// dead letters is asked.
func TestNATSPage(t *testing.T) {
	d := asking(t)
	_, says, err := d.shell(t, certificate)
	require.NoError(t, err, says)
	p := doctest.Open(t, "docs/nats.md")
	keys := p.In(t, "Keys", "console").Commands()
	require.Len(t, keys, 2)
	d.here = append(d.here, "/etc/nats/", d.dir+"/", "/data", d.path("data"), "0.0.0.0:4222", "127.0.0.1:-1")
	said, says, err := d.shell(t, keys[0].Line)
	require.NoError(t, err, says)
	require.Contains(t, said, "nats-server --signal reload")

	d.write(t, "nats-server.conf", d.translate(p.In(t, "The server", "conf").Text))
	s, _ := natsdtest.Configured(t, d.path("nats-server.conf"))
	require.True(t, s.JetStreamEnabled())
	require.True(t, s.JetStreamConfig().SyncAlways)
	connect := func(seed string) error {
		key, err := nats.NkeyOptionFromSeed(seed)
		require.NoError(t, err)
		c, err := nats.Connect(s.ClientURL(), key, nats.RootCAs(d.path("tls.crt")))
		if err == nil {
			c.Close()
		}
		return err
	}
	require.NoError(t, connect(d.path("keys/responder.nk")))
	// What a later command changes holds with a reload, as the second command asks for.
	require.Equal(t, "nats-server --signal reload", keys[1].Line)
	_, says, err = d.shell(t, "riposte nodes issue other --cluster prod --keys keys")
	require.NoError(t, err, says)
	seeds, err := os.ReadDir(d.path("keys/seeds/prod"))
	require.NoError(t, err)
	require.Len(t, seeds, 2)
	refused := 0
	for _, seed := range seeds {
		if connect(d.path("keys/seeds/prod/"+seed.Name())) != nil {
			refused++
		}
	}
	require.Equal(t, 1, refused)
	require.NoError(t, s.Reload())
	for _, seed := range seeds {
		require.NoError(t, connect(d.path("keys/seeds/prod/"+seed.Name())))
	}

	letters := p.In(t, "Dead letters", "console").Commands()
	require.Len(t, letters, 3)
	for _, c := range letters[:2] {
		_, says, err := d.shell(t, c.Line)
		require.NoError(t, err, "%s: %s", c.Line, says)
	}
	_, says, err = d.shell(t, letters[2].Line) // this one is no alert, whoever mends what
	require.Error(t, err)
	require.Contains(t, says, "it cannot be processed this time either: malformed")
}

// A responder takes the files of people and of access, and tokens are made.
func TestAccessPage(t *testing.T) {
	p := doctest.Open(t, "docs/access.md")
	i := install(t)
	i.write(t, "people", strings.ReplaceAll(p.In(t, "Tokens", "text").Text, "…", strings.Repeat("0", 32)))
	i.write(t, "access.yaml", p.In(t, "An OpenID Connect issuer", "yaml").Text)
	first := i.respond(t, "riposte responder --people-file people --access-file access.yaml"+i.flags())
	b := p.In(t, "Tokens", "sh")
	commands := b.Commands()
	require.Len(t, commands, 3)
	for _, c := range commands[:2] {
		_, says, err := i.shell(t, c.Line)
		require.NoError(t, err, "%s: %s", c.Line, says)
	}
	id, says, err := i.shell(t, "riposte tokens list -o name | head -n 1")
	require.NoError(t, err, says)
	_, says, err = i.shell(t, strings.Replace(commands[2].Line, "5f8a9b0c1d2e", strings.TrimSpace(id), 1))
	require.NoError(t, err, says)

	first.stop(t)
	_, grants, found := strings.Cut(p.In(t, "An OpenID Connect issuer", "yaml").Text, "grants:")
	require.True(t, found)
	i.here = append(i.here, "/etc/riposte/secret/", i.dir+"/")
	i.write(t, "oidc-client-secret", strings.Repeat("s", 32))
	i.write(t, "access.yaml", i.translate(p.In(t, "At the console", "yaml").Text)+"grants:"+grants)
	i.respond(t, "riposte responder --access-file access.yaml"+i.flags()).stop(t)
	i.write(t, "access.yaml", p.In(t, "Kubernetes", "yaml").Text)
	i.respond(t, "riposte responder --access-file access.yaml"+i.flags())
}

// A responder tells a collector that is named as the page says.
func TestTracingPage(t *testing.T) {
	asked := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.URL.Path:
		default:
		}
	}))
	t.Cleanup(collector.Close)
	i := intakeOf(t, "prod")
	i.here = append(i.here, "http://collector.monitoring:4318", collector.URL, " …", i.flags()+i.intake)
	i.respond(t, doctest.Open(t, "docs/tracing.md").Take("sh")[0].Text)
	i.post(t)
	require.Equal(t, "/v1/traces", <-asked)
}

// The webhooks are ones that a responder takes, and the permissions are a ClusterRole's.
func TestActionsPage(t *testing.T) {
	p := doctest.Open(t, "docs/actions.md")
	i := install(t)
	i.here = append(i.here, "/etc/riposte/", i.dir+"/")
	i.write(t, "webhooks.yaml", i.translate(p.In(t, "Webhooks", "yaml").Text))
	i.write(t, "tickets.secret", strings.Repeat("s", 32))
	i.respond(t, "riposte responder --webhooks webhooks.yaml"+i.flags())
	var role struct {
		Rules []struct {
			APIGroups []string `yaml:"apiGroups"`
			Resources []string `yaml:"resources"`
			Verbs     []string `yaml:"verbs"`
		} `yaml:"rules"`
	}
	strict := yaml.NewDecoder(strings.NewReader(p.In(t, "All permissions", "yaml").Text))
	strict.KnownFields(true)
	require.NoError(t, strict.Decode(&role))
	require.Greater(t, len(role.Rules), 10)
	for _, r := range role.Rules {
		require.NotEmpty(t, r.APIGroups)
		require.NotEmpty(t, r.Resources)
		require.NotEmpty(t, r.Verbs)
	}
}

// withIntake is an installation with what the intake needs.
type withIntake struct {
	*installation
	// intake are the flags, address is where it listens.
	intake, address string
}

const falcoToken = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// intakeOf knows falco-prod, who may speak of a cluster, by the token.
func intakeOf(t *testing.T, cluster string) *withIntake {
	t.Helper()
	i := &withIntake{installation: install(t), address: freeAddress(t)}
	i.intake = " --intake-listen " + i.address + " --intake-identities identities.yaml"
	out, says, err := i.shell(t, "printf %s "+falcoToken+" | sha256sum | cut -d' ' -f1")
	require.NoError(t, err, says)
	i.write(t, "identities.yaml", "identities: [{name: falco-prod, clusters: ["+cluster+"], token_sha256: ["+strings.TrimSpace(out)+"]}]\n")
	return i
}

// alert is what Falco prints, of a rule of its own.
const alert = `{"hostname":"node-1","output":"15:04:05.963521847: Notice A shell was spawned in a container with an attached terminal","output_fields":` +
	`{"container.id":"4e5f6a7b8c9d","evt.time":1767366245963521847,"k8s.ns.name":"shop","k8s.pod.name":"web-1","proc.cmdline":"sh -i","proc.tty":34816},` +
	`"priority":"Notice","rule":"Terminal shell in container","source":"syscall","tags":["container","shell","mitre_execution","T1059"],"time":"2026-11-02T15:04:05.963521847Z"}`

// post sends it as Falcosidekick does, until it is stored.
func (i *withIntake) post(t *testing.T) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+i.address+"/falco", strings.NewReader(alert))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+falcoToken)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
}

// The identities and the flags of the page are a running intake, in which a post with the
// token whose hash stands there is stored.
func TestIntakePage(t *testing.T) {
	p := doctest.Open(t, "docs/intake.md")
	i := install(t)
	address := freeAddress(t)
	b := p.Take("yaml")[0]
	i.write(t, "intake.yaml", b.Text)
	_, says, err := i.shell(t, certificate)
	require.NoError(t, err, says)
	i.here = append(i.here, "/etc/riposte/", i.dir+"/", "0.0.0.0:7412", address, " …", " --intake-client-ca tls.crt"+i.flags())
	sh := p.Take("sh")
	require.Len(t, sh, 1)
	i.respond(t, sh[0].Text)
	_, says, err = i.shell(t, "curl -sS --cacert tls.crt https://"+address+"/healthz")
	require.NoError(t, err, says)
	out, says, err := i.shell(t, "curl -sS --cacert tls.crt -H 'Authorization: Bearer nobody' -d '{}' https://"+address+"/falco")
	require.NoError(t, err, says)
	require.Contains(t, out, "token")
}
