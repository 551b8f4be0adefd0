# Riposte. `make` alone lists the targets.
SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CACHE   ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/riposte
BUILDFLAGS := -trimpath
LDFLAGS := -s -w -X main.version=$(VERSION)
export CACHE

##@ Use
.PHONY: run drill
run: bin/riposte ## Start everything on this machine, stage one drill, print what happens (Ctrl-C stops)
	exec bin/riposte up $(ARGS)

drill: bin/riposte ## Start everything on throw-away data, run one drill, print its timeline
	exec bin/riposte drill --throwaway $(ARGS)

##@ Build
.PHONY: build web kube-cp generate
build: bin/riposte ## Build bin/riposte with the console
web: web/dist/index.html ## Build the console

NODE_MODULES := web/node_modules/.package-lock.json
$(NODE_MODULES): web/package.json web/package-lock.json
	@.make/need node
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web/dist/index.html: $(NODE_MODULES) $(wildcard web/*.html web/*.ts web/*.json web/public/* web/src/*)
	cd web && npm run build
	@touch $@

.PHONY: bin/riposte
bin/riposte: web/dist/index.html
	@.make/need postgres
	@echo "building riposte (the first time takes some minutes)"
	CGO_ENABLED=0 go build $(BUILDFLAGS) -ldflags '$(LDFLAGS)' -o $@ .

kube-cp: ## Build the API server that tests use, into the cache (minutes the first time)
	@deploy/cluster/build.sh

generate: ## Make generated files again: BPF objects and references
	@.make/need clang
	go generate ./...

##@ Image
# Set REF to the name under which a cluster will pull it.
IMAGE := bin/riposte.tar
REF   ?= riposte.local/riposte:dev
.PHONY: image image-load image-push
image: bin/riposte ## Build Riposte's OCI image, bin/riposte.tar, and its SBOM: REF=NAME:TAG names it
	@cd deploy/image && CGO_ENABLED=0 go build -trimpath -o ../../bin/image .
	@bin/image build -o $(IMAGE) -name $(REF) -version $(VERSION) -revision "$$(git rev-parse HEAD 2>/dev/null)" \
		-created "$$(TZ=UTC git log -1 --date=iso-strict-local --format=%cd 2>/dev/null || echo 1970-01-01T00:00:00Z)" \
		-npm web/package-lock.json bin/riposte

image-load: image ## Load the image into the local cluster
	@deploy/cluster/cluster load $(IMAGE)

image-push: image ## Push the image and its SBOM to a registry: REF=registry/name:tag
	@bin/image push $(IMAGE) $(REF)

##@ Local cluster
.PHONY: cluster-up cluster-down cluster-status cluster-shell
cluster-up: ## Start a real one-node Kubernetes on this machine (a quarter of an hour the first time, then seconds)
	@deploy/cluster/cluster up

cluster-down: ## End it; nothing of it is left
	@deploy/cluster/cluster down

cluster-status: ## What of it runs, and its pods
	@deploy/cluster/cluster status

cluster-shell: ## A shell inside it, with kubectl
	@deploy/cluster/cluster shell

##@ Check
.PHONY: test unit e2e e2e-cluster campaign campaign-long scale lint verify fuzz bench bench-overhead soak bench-rules bench-audit fmt
test: web/dist/index.html ## Set everything up and run every test
	@.make/need postgres chromium race runtime net
	@.make/test

unit: ## Only the Go tests that need neither root, database nor cluster
	go test -short ./...

e2e: web/dist/index.html ## Only the tests of the whole path
	@.make/need postgres chromium race
	@deploy/cluster/build.sh kube-cp kwok
	go test -race -count=1 ./deploy/e2e/...

e2e-cluster: ## Only the tests on a real cluster, which they start and end: the cluster itself, and the chart installed and attacked
	@.make/need cluster
	@deploy/cluster/build.sh kube netpold node >/dev/null
	cd deploy/cluster && CGO_ENABLED=0 go test -trimpath -count=1 -timeout 30m ./netpold ./node
	@.make/e2e-chart

chart-test: ## The Helm chart: lint, golden files, schema, and what a real API server says to it
	@deploy/cluster/build.sh
	cd deploy/helm/test && CI=true go test -count=1 .

chart-docs: ## Write the chart's golden files and the table of its values anew
	cd deploy/helm/test && go test -count=1 -run 'TestGolden|TestReadme' . -args -update

campaign: ## The fault campaign, a minute and a half: SEED=N makes the faults of an earlier one
	@.make/need postgres race
	@deploy/cluster/build.sh
	@.make/campaign 40s

campaign-long: ## The fault campaign for MINUTES (10), with pauses longer than leases
	@.make/need postgres
	@deploy/cluster/build.sh
	@.make/campaign $(or $(MINUTES),10)m

scale: RATES ?= 100,1000
scale: ## What NODES (1000) with PODS (20000) cost each part, at RATES (100,1000) alerts a second, EACH (60) seconds: both cores, six minutes
	@.make/need postgres
	@deploy/cluster/build.sh kube-cp kwok
	@.make/scale $(or $(NODES),1000) $(or $(PODS),20000) $(RATES) $(or $(EACH),60)

lint: $(NODE_MODULES) bin/riposte ## Linters for Go, C, Rego and the console
	@.make/need clang-format
	@echo "building the linter (the first time takes some minutes)"
	go build -C .tools -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@.make/lint-go
	go mod tidy -diff
	clang-format-19 --dry-run -Werror bpf/*.bpf.c bpf/headers/*.h
	bin/riposte playbooks check
	bin/riposte rules check
	cd web && npm run lint

verify: generate ## Fail if a generated file is not what its source makes
	@git diff --exit-code --stat -- bpf docs playbooks agent responder deploy/helm || { echo "generated files differ: run make generate and commit the result"; exit 1; }

fuzz: ## Run every fuzz target for FUZZTIME (10s)
	@.make/fuzz

bench: ## Run the Go benchmarks
	go test -run '^$$' -bench . -benchmem ./agent/... ./responder/... $(ARGS)

bench-overhead: ## What the agent costs redis, a compiler, nginx and others: ROUNDS=5 EACH=5s, RIPOSTE_FALCO_RULES=DIR
	@.make/need loads
	@.make/bench-overhead $(ARGS)

soak: ## The agent's memory under a mixed load for MINUTES (10)
	@.make/soak $(ARGS)

bench-rules: ## What the rules cost on a busy node's stream: RIPOSTE_FALCO_RULES=DIR takes Falco's
	GOMAXPROCS=1 go test -run '^$$' -bench BenchmarkRules -benchtime 10x ./agent/rules $(ARGS)
	@.make/bench-rules

bench-audit: ## Each question of docs/audit.md on a record of ENTRIES (10000000): some 20 GB of disk, a quarter of an hour
	@.make/need postgres
	RIPOSTE_BENCH_ENTRIES=$(or $(ENTRIES),10000000) go test -run '^$$' -bench BenchmarkQuestions -benchtime 200x -timeout 3h ./responder/store $(ARGS)

fmt: ## Format Go and C
	gofmt -w $$(git ls-files '*.go')
	clang-format-19 -i bpf/*.bpf.c bpf/headers/*.h

##@ Other
.PHONY: clean help
clean: ## Remove what was built in this folder
	rm -rf bin web/dist web/node_modules

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
