# `make help` says what there is. Everything is built into bin/.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

# Where the demo's image registry listens.
REGISTRY_PORT ?= 5000

# The version that `mcp version` answers; a checkout without git has none.
VERSION := $(shell git describe --always --dirty --tags 2>/dev/null || echo dev)

# All that is compiled has the same flags, so that nothing is compiled twice: lint,
# tests and programs share one build cache, and so do two checkouts.
export CGO_ENABLED := 0
export GOFLAGS     := -buildvcs=false -trimpath

GO_DIRS := activities bench cmd edge examples internal servicedef test workers workflows

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: ## install what this machine lacks: podman, Postgres' programs, curl (apt-get)
	@scripts/setup.sh

.PHONY: build
build: ## build bin/mcp and bin/mcp-edge
	@go build -ldflags "-s -w -X github.com/metacircular/mcp/internal/cli.version=$(VERSION)" -o bin/mcp ./cmd/mcp
	@cd edge && go build -ldflags "-s -w -X github.com/metacircular/mcp/edge/command.version=$(VERSION)" -o $(CURDIR)/bin/mcp-edge ./cmd/mcp-edge

# The pinned programs, each a module of its own. bin/temporal takes some minutes
# the first time; after that only a changed go.mod builds one anew.
RUN_TOOLS  := bin/temporal bin/registry
# What the tests of the edge need besides: an ACME authority, and DNS for it.
EDGE_TOOLS := bin/pebble bin/pebble-challtestsrv
LINT_TOOLS := bin/golangci-lint bin/workflowcheck
# What only measurements need; built when one is made. bin/temporal-server takes
# some four minutes of two cores the first time.
BENCH_TOOLS := bin/caddy bin/plot bin/benchstat bin/temporal-server bin/temporal-sql-tool

.PHONY: tools
tools: $(RUN_TOOLS) $(EDGE_TOOLS) $(LINT_TOOLS) ## build the pinned programs: temporal, registry, pebble, the linters
	@:

bin/temporal:      PACKAGE := github.com/temporalio/cli/cmd/temporal
bin/registry:      PACKAGE := github.com/distribution/distribution/v3/cmd/registry
bin/pebble:        PACKAGE := github.com/letsencrypt/pebble/v2/cmd/pebble
bin/pebble-challtestsrv: PACKAGE := github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv
bin/golangci-lint: PACKAGE := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
bin/workflowcheck: PACKAGE := go.temporal.io/sdk/contrib/tools/workflowcheck
bin/caddy:         PACKAGE := github.com/caddyserver/caddy/v2/cmd/caddy
bin/plot:          PACKAGE := .
bin/benchstat:     PACKAGE := golang.org/x/perf/cmd/benchstat
bin/temporal-server:   PACKAGE := go.temporal.io/server/cmd/server
bin/temporal-sql-tool: PACKAGE := go.temporal.io/server/cmd/tools/sql
bin/temporal:      tools/temporal/go.mod
bin/registry:      tools/registry/go.mod
bin/pebble bin/pebble-challtestsrv: tools/pebble/go.mod
bin/golangci-lint: tools/lint/go.mod
bin/workflowcheck: tools/workflowcheck/go.mod
bin/caddy:         tools/caddy/go.mod
bin/plot:          tools/plot/go.mod tools/plot/main.go
bin/benchstat:     tools/benchstat/go.mod
bin/temporal-server bin/temporal-sql-tool: tools/temporal-server/go.mod

# go tool links a program once and keeps it, for other checkouts too.
$(RUN_TOOLS) $(EDGE_TOOLS) $(LINT_TOOLS):
	@echo "building $@ (once)"
	@cd $(<D) && install -D "$$(go tool -n $(PACKAGE))" $(CURDIR)/$@

$(BENCH_TOOLS):
	@echo "building $@ (once)"
	@cd $(<D) && go build -ldflags "-s -w" -o $(CURDIR)/$@ $(PACKAGE)
	@touch $@

.PHONY: lint
lint: $(LINT_TOOLS) ## check format, vet, imports between packages, and that workflows are deterministic
	@unformatted=$$(gofmt -l $(GO_DIRS)); \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:" $$unformatted >&2; exit 1; fi
	@bin/golangci-lint run ./...
	@cd edge && $(CURDIR)/bin/golangci-lint run --config $(CURDIR)/.golangci.yml ./...
	@go vet -vettool=$(CURDIR)/bin/workflowcheck -config=$(CURDIR)/.workflowcheck.yml ./workflows/...
	@for module in examples/src/*/; do (cd $$module && go vet ./...); done

# Go programs that live briefly collect garbage with a quarter of their work: the linters,
# and the parts that tests start. They do half of that with more memory.
lint test test-mcp test-edge: export GOGC := 200

# Tests on real parts wait more than they work, so more packages run at once than most
# machines have processors. A package that takes longer starts earlier: one that starts
# last would keep a single processor busy while the others have nothing to do.
LONGEST := ./test/e2e ./test/crash ./internal/runtime/podman ./test/threat ./test/apps \
	./internal/cli ./internal/registry ./test/outside ./internal/dev ./workers \
	./internal/dev/parts ./test/machines ./activities/onnode

# The edge is a module of its own; its tests run beside the others. `make lint` vets both.
.PHONY: test test-mcp test-edge
test: setup $(RUN_TOOLS) $(EDGE_TOOLS) build ## run every test, on real podman, Postgres, Temporal and image registry
	@$(MAKE) -j 2 test-mcp test-edge

test-mcp:
	@go test -vet=off -timeout 30m $(TESTFLAGS) -p 3 $(LONGEST) $$(go list ./... | grep -v /bench/temporalserver)

test-edge:
	@cd edge && go test -vet=off -timeout 30m $(TESTFLAGS) -p 1 ./...

# How often each application is updated, broken and rolled back in a soak.
UPDATES ?= 10

.PHONY: soak
soak: setup $(RUN_TOOLS) build ## update the example applications UPDATES times, between first deploy and reboot
	@go test -vet=off ./test/apps -v -count=1 -timeout 0 -updates=$(UPDATES)

BENCH := go run ./bench

.PHONY: bench
bench: setup $(RUN_TOOLS) bin/plot build ## measure mcp beside the same work without it; write bench/results.json and docs/performance.md
	@$(BENCH) -page docs/performance.md $(BENCHFLAGS)
	@bin/plot bench/growth.json docs

# JUDGED are the rows that have a target in the short form.
JUDGED := ^(deploy|status|fleet|overhead|monitor-run|worker)

.PHONY: bench-short
bench-short: setup $(RUN_TOOLS) build ## measure less, and fail only where something takes twice what it may
	@mkdir -p bin/bench
	@$(BENCH) -short -slack 2 -run '$(JUDGED)' -out bin/bench $(BENCHFLAGS)

.PHONY: bench-edge
bench-edge: setup $(RUN_TOOLS) build bin/caddy ## measure mcp-edge beside plain Caddy, nginx and HAProxy; write bench/edge.json and docs/performance.md
	@cd edge && go run ./bench -out ../bench/edge.json -page ../docs/performance.md $(BENCHFLAGS)

.PHONY: sizing
sizing: setup bin/temporal-server bin/temporal-sql-tool ## test and measure Temporal on Postgres: what one observation of a node costs there
	@go test -timeout 30m -count=1 -v ./bench/temporalserver -size

# How often each benchmark runs, and where the figures go. Those of the run
# before are kept beside them, to compare with.
COUNT   ?= 6
FIGURES ?= bin/microbench

.PHONY: microbench
microbench: setup bin/benchstat ## run the Go benchmarks COUNT times, and compare with the last run
	@if [ -f $(FIGURES).txt ]; then mv $(FIGURES).txt $(FIGURES).old.txt; fi
	@go test -run '^$$' -bench . -benchtime 200ms -count $(COUNT) \
		./servicedef ./internal/plan ./internal/watch ./internal/registry ./internal/cli/... | tee $(FIGURES).txt
	@bin/benchstat $$(ls $(FIGURES).old.txt 2>/dev/null) $(FIGURES).txt

# How long the crash matrix may take; it holds more cases than fit in an hour.
CRASH_TIME ?= 1h

.PHONY: crash
crash: setup $(RUN_TOOLS) $(EDGE_TOOLS) ## run the crash matrix for CRASH_TIME, and write docs/reliability.md
	@go test ./test/crash -v -count=1 -timeout 0 -full -rigs=8 -for=$(CRASH_TIME) -report=$(CURDIR)/docs/reliability.md

# The next set of recorded histories.
HISTORIES = workflows/testdata/histories/$(shell printf '%04d' $$((1 + $$(ls workflows/testdata/histories | wc -l))))

.PHONY: histories
histories: setup $(RUN_TOOLS) ## record the history of every outcome and of every type of workflow, for the replay test
	@go test ./test/e2e -count=1 -run 'TestEveryOutcomeReplays|TestEveryTypeReplays|TestARotationRevokesWhenEverythingIsHealthy|TestOldImagesArePruned' -record=$(CURDIR)/$(HISTORIES)

# Where `make man` puts the pages; a package puts them into /usr/share/man/man1.
MANDIR ?= man/man1

.PHONY: man
man: ## write a man page for each command to MANDIR
	@go run ./internal/cli/manual $(MANDIR)

.PHONY: reference
reference: ## write docs/commands.md, service.md and schemas anew
	@go test ./internal/cli/manual -count=1 -update

.PHONY: examples
examples: ## compile the example services, whose images are built from scratch
	@scripts/examples.sh

.PHONY: app-images
app-images: ## make the images of the example applications from Debian's packages, and push them to 127.0.0.1:REGISTRY_PORT
	@go run ./examples/images/push 127.0.0.1:$(REGISTRY_PORT)

.PHONY: demo
demo: setup $(RUN_TOOLS) build examples ## start mcp here, deploy two example services and fetch their routes
	@REGISTRY_PORT=$(REGISTRY_PORT) scripts/demo.sh

.PHONY: demo-down
demo-down: ## stop what `make demo` started, and remove its containers and data
	@scripts/demo-down.sh

.PHONY: clean
clean: demo-down ## remove all that was built here
	@rm -rf bin examples/src/*/bin
