package chart_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// Wrong values are refused before anything is sent to a cluster, with their place or
// with what to do.
func TestRefusals(t *testing.T) {
	const external = "nats: {url: 'nats://n:4222'}\ndatabase: {existingSecret: d}\n"
	for name, c := range map[string]struct{ values, want string }{
		"nothing":                   {"{}", "nats.url is empty"},
		"no database":               {"nats: {url: 'nats://n:4222'}", "database.existingSecret is empty"},
		"two NATS":                  {"nats: {url: 'nats://n:4222', bundled: {enabled: true}}\ndatabase: {existingSecret: d}", "exclude each other"},
		"two databases":             {"nats: {url: 'nats://n:4222'}\ndatabase: {existingSecret: d, bundled: {enabled: true}}", "exclude each other"},
		"half of the keys":          {external + "keys: {existingSecret: k}", "belong together"},
		"keys without passwords":    {"nats: {url: 'nats://n:4222'}\ndatabase: {bundled: {enabled: true}}\nkeys: {existingSecret: k, existingConfigMap: p}", "leave keys.existingSecret empty"},
		"another role":              {"nats: {url: 'nats://n:4222'}\ndatabase: {bundled: {enabled: true}, appRole: x}", "riposte_app"},
		"an intake without senders": {external + "responder: {intake: {enabled: true}}", "need responder.existingSecret"},
		"a secret of no Secret":     {external + "responder: {access: {oidc: {console: {client_secret_file: /etc/riposte/secret/oidc-client-secret}}}}", "responder.existingSecret, which is empty"},
		"an Ingress for no name":    {external + "responder: {ingress: {enabled: true}}", "responder.ingress.host is empty"},
		"an Ingress without TLS":    {external + "responder: {ingress: {enabled: true, host: r.example}}", "responder.ingress.tlsSecret is empty"},
		"an Ingress from nowhere":   {external + "responder: {ingress: {enabled: true, host: r.example, tlsSecret: t}}", "responder.ingress.controllerNamespace is empty"},
		"an address for a host":     {external + "responder: {ingress: {host: 'https://r.example'}}", "/responder/ingress/host"},
		"no rules":                  {external + "builtinRules: false", "there are no rules"},
		"a misspelt key":            {external + "responder: {replica: 3}", "additional properties 'replica' not allowed"},
		"an unknown action":         {external + "responder: {actions: {delete_pods: true}}", "additional properties 'delete_pods' not allowed"},
		"a key of another chart":    {external + "driver: {kind: modern_ebpf}", "additional properties 'driver' not allowed"},
		"a text for a number":       {external + "responder: {replicas: two}", "/responder/replicas"},
		"no replica":                {external + "responder: {replicas: 0}", "/responder/replicas"},
		"a wrong mode":              {external + "guard: {modes: {max: shoot}}", "/guard/modes/max"},
		"a misspelt guard's key":    {external + "guard: {budget: {}}", "additional properties 'budget' not allowed"},
		"a rule file without end":   {external + "customRules: {local: '- rule: x'}", "invalid propertyName 'local'"},
		"a path out of a folder":    {external + "playbooks: {../x.rego: 'package x'}", "invalid propertyName '../x.rego'"},
		"a wrong digest":            {external + "image: {digest: 'sha256:1'}", "/image/digest"},
		"a web address of NATS":     {"nats: {url: 'https://n'}\ndatabase: {existingSecret: d}", "/nats/url"},
		"a relative folder":         {external + "agent: {dataPath: data}", "/agent/dataPath"},
		"a duration without unit":   {external + "responder: {retention: '30'}", "/responder/retention"},
	} {
		t.Run(name, func(t *testing.T) {
			values := map[string]any{}
			require.NoError(t, yaml.Unmarshal([]byte(c.values), &values))
			_, err := render(values)
			require.ErrorContains(t, err, c.want)
		})
	}
}
