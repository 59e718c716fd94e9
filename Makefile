# Remit. `make run` and `make test` are all that a fresh Debian machine with Go, make, git and root needs.

GO       ?= go
FUZZTIME ?= 5m
ROUNDS   ?= 20
P5FOR    ?= 60s
P5RATE   ?= 300
SOAKFOR  ?= 30m

.PHONY: run test check clients bench bench-large pages image screenshots generate fuzz corpus catalogue race chaos p5 soak faults mutants build lint

run: build ## the demo: server, MCP server, agent and thief on this machine
	bin/remit demo

test: ## everything; installs what is missing
	.ci/install
	.ci/test

check: ## all that Go and SQLite alone can prove
	.ci/check

clients: ## the released MCP conformance suite and curl against the binary
	.ci/clients

bench-large: ## 10⁶ tasks and 10⁷ ledger records: what each query costs beside a small database (10 GB of disk)
	$(GO) test -count=1 -p 1 -timeout 2h -tags large -run '^TestLarge' -v ./store/...

pages: ## how soon pages are there in Chromium with 10⁴ live tasks, and what they weigh
	.ci/install
	$(GO) test -count=1 -tags browser -run '^TestPaint$$' -v ./server

image: ## the container image, as an OCI archive, without a Docker daemon
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/remit ./cmd/remit
	$(GO) run ./deploy/image -binary bin/remit -out bin/remit.tar

bench: ## CPU per operation, each beside its ceiling
	$(GO) test -run '^$$' -bench . -benchmem ./...

screenshots: ## the pages in Chromium, to docs/screenshots
	.ci/install
	$(GO) test -count=1 -tags browser -run '^TestBrowserScreenshots$$' ./web -args -screenshots=$(CURDIR)/docs/screenshots

generate: ## the Go code of the templ pages
	$(GO) generate ./...

fuzz: ## every fuzz target for FUZZTIME (5m)
	.ci/fuzz $(FUZZTIME)

corpus: ## keeps the first of what fuzzing found interesting, for every go test to play
	.ci/corpus

catalogue: ## the rows of the attack catalogue that count, with as many tries as it names, on each engine
	.ci/install
	for engine in sqlite postgres pair; do \
		$(GO) test -count=1 -timeout 2h -run '^TestAttack(Revoke|Audit|Limits|FT12|TLS)$$' ./cmd/remit -args -full -engine=$$engine || exit 1; done

race: ## the tests under the race detector, ten times
	$(GO) test -race -count=10 ./...

chaos: ## two instances on PostgreSQL and Redis, killed, cut off and taken down under load; -chaos.seed=N repeats a run
	.ci/install
	$(GO) test -count=1 -tags chaos -timeout 30m -run '^TestChaos$$' -v ./cmd/remit/chaos -args -chaos.long $(CHAOS)

p5: ## hostile load on loopback beside good clients, for P5FOR (60s) at P5RATE (300) a second
	.ci/install
	$(GO) test -count=1 -tags chaos -timeout 1h -run '^TestHostile$$' -v ./cmd/remit/chaos -args -hostile.for=$(P5FOR) -hostile.rate=$(P5RATE) -hostile.p99=3

soak: ## good and hostile clients for SOAKFOR (30m): what grows
	.ci/install
	$(GO) test -count=1 -tags chaos -timeout 25h -run '^TestSoak$$' -v ./cmd/remit/chaos -args -soak.for=$(SOAKFOR)

faults: ## chaos, ROUNDS (20) times each fault
	.ci/install
	$(GO) test -count=1 -tags chaos -timeout 24h -run '^TestChaos$$' -v ./cmd/remit/chaos -args -chaos.long -chaos.rounds=$(ROUNDS) $(CHAOS)

mutants: ## checks taken out one at a time: the tests must notice all but one; ARGS='-only feed' picks some
	$(GO) run ./cmd/remit/mutants $(ARGS)

build:
	$(GO) build -o bin/remit ./cmd/remit

lint:
	.ci/lint
