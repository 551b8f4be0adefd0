{{/* Names. */}}
{{- define "riposte.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains "riposte" .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-riposte" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Names in the whole cluster also carry the namespace, so that two releases do not meet. */}}
{{- define "riposte.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "riposte.fullname" .) | trunc 50 | trimSuffix "-" }}
{{- end -}}

{{- define "riposte.keysSecret" -}}
{{ .Values.keys.existingSecret | default (printf "%s-keys" (include "riposte.fullname" .)) }}
{{- end -}}

{{- define "riposte.keysConfigMap" -}}
{{ .Values.keys.existingConfigMap | default (printf "%s-public" (include "riposte.fullname" .)) }}
{{- end -}}

{{- define "riposte.databaseSecret" -}}
{{ .Values.database.existingSecret | default (printf "%s-database" (include "riposte.fullname" .)) }}
{{- end -}}

{{- define "riposte.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "riposte.natsURL" -}}
{{- if .Values.nats.bundled.enabled -}}
nats://{{ include "riposte.fullname" . }}-nats:4222
{{- else -}}
{{ .Values.nats.url }}
{{- end -}}
{{- end -}}

{{/* The agent is in the host's network, where only whole names of services are known. */}}
{{- define "riposte.natsURLForNodes" -}}
{{- if .Values.nats.bundled.enabled -}}
nats://{{ include "riposte.fullname" . }}-nats.{{ .Release.Namespace }}.svc:4222
{{- else -}}
{{ .Values.nats.url }}
{{- end -}}
{{- end -}}

{{/* Labels: (list . "component"). part-of is what the guard protects by. */}}
{{- define "riposte.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: riposte
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "riposte.labels" -}}
{{- $root := index . 0 -}}
{{ include "riposte.selector" . }}
app.kubernetes.io/part-of: riposte
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "riposte.podLabels" -}}
{{ include "riposte.selector" . }}
app.kubernetes.io/part-of: riposte
{{- end -}}

{{- define "riposte.pullSecrets" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What every container but the agent's may do: nothing. */}}
{{- define "riposte.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "riposte.nonroot" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Refuse what cannot work, with what to do. */}}
{{- define "riposte.check" -}}
{{- $v := .Values -}}
{{- if and (not $v.nats.url) (not $v.nats.bundled.enabled) -}}
{{- fail "nats.url is empty: give your NATS's address, or set nats.bundled.enabled=true for a trial" -}}
{{- end -}}
{{- if and $v.nats.url $v.nats.bundled.enabled -}}
{{- fail "nats.url and nats.bundled.enabled exclude each other" -}}
{{- end -}}
{{- if and (not $v.database.existingSecret) (not $v.database.bundled.enabled) -}}
{{- fail "database.existingSecret is empty: name a Secret with app.url and owner.url, or set database.bundled.enabled=true for a trial" -}}
{{- end -}}
{{- if and $v.database.existingSecret $v.database.bundled.enabled -}}
{{- fail "database.existingSecret and database.bundled.enabled exclude each other" -}}
{{- end -}}
{{- if and $v.database.bundled.enabled (ne $v.database.appRole "riposte_app") -}}
{{- fail "database.appRole is the bundled database's own: riposte_app" -}}
{{- end -}}
{{- if ne (empty $v.keys.existingSecret) (empty $v.keys.existingConfigMap) -}}
{{- fail "keys.existingSecret and keys.existingConfigMap belong together: private and public halves of the same keys" -}}
{{- end -}}
{{- if and $v.keys.existingSecret $v.database.bundled.enabled -}}
{{- fail "the bundled database's passwords are made together with the keys: leave keys.existingSecret empty" -}}
{{- end -}}
{{- with $v.responder -}}
{{- if and (not .existingSecret) (or .people .webhooks .intake.enabled .bundle.url) -}}
{{- fail "responder.people, webhooks, intake and bundle need responder.existingSecret, which holds their files" -}}
{{- end -}}
{{- if and (not .existingSecret) (dig "oidc" "console" "client_secret_file" "" .access | hasPrefix "/etc/riposte/secret/") -}}
{{- fail "responder.access names a client_secret_file of responder.existingSecret, which is empty" -}}
{{- end -}}
{{- with .ingress -}}
{{- if and .enabled (not .host) -}}
{{- fail "responder.ingress.host is empty: say under which name API and console are reached" -}}
{{- end -}}
{{- if and .enabled (not .tlsSecret) (not .insecure) -}}
{{- fail "responder.ingress.tlsSecret is empty: name a Secret with the host's certificate, or set responder.ingress.insecure=true where TLS ends before the controller" -}}
{{- end -}}
{{- if and .enabled $v.responder.networkPolicy.enabled (not .controllerNamespace) -}}
{{- fail "responder.ingress.controllerNamespace is empty: say where the controller runs, so that the NetworkPolicy lets it in" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (not $v.builtinRules) (not $v.customRules) $v.agent.enabled -}}
{{- fail "there are no rules: builtinRules is false and customRules is empty" -}}
{{- end -}}
{{- end -}}
