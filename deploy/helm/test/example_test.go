package chart_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The Application's values are ones that the chart takes.
func TestTheApplicationRenders(t *testing.T) {
	app := read(t, "../../examples/argocd/application.yaml")
	source := at(t, app, "spec", "source")
	require.Equal(t, "deploy/helm/riposte", at(t, source, "path"))
	all := objects(t, at(t, source, "helm", "valuesObject").(map[string]any))
	find(t, all, "DaemonSet", "-agent")
	find(t, all, "PrometheusRule", "riposte")
}

// What the examples look for are labels and ports that the chart sets.
func TestTheScrapeConfigurationFindsIt(t *testing.T) {
	all := objects(t, sets(t)["production"])
	kept := func(job, source string) any {
		for _, j := range read(t, "../../examples/prometheus/prometheus.yaml")["scrape_configs"].([]any) {
			for _, r := range at(t, j, "relabel_configs").([]any) {
				if at(t, j, "job_name") == job && at(t, r, "action") == "keep" && at(t, r, "source_labels", 0) == source {
					return at(t, r, "regex")
				}
			}
		}
		return nil
	}
	service := find(t, all, "Service", "-metrics")
	require.Equal(t, at(t, service, "metadata", "labels", "app.kubernetes.io/component"), kept("riposte-responder", "__meta_kubernetes_service_label_app_kubernetes_io_component"))
	template := at(t, find(t, all, "DaemonSet", "-agent"), "spec", "template")
	require.Equal(t, at(t, template, "metadata", "labels", "app.kubernetes.io/component"), kept("riposte-agent", "__meta_kubernetes_pod_label_app_kubernetes_io_component"))
	require.Equal(t, at(t, template, "spec", "containers", 0, "ports", 0, "name"), kept("riposte-agent", "__meta_kubernetes_pod_container_port_name"))
}
