# `make run` shows the product on a local AWS, `make test` runs every check. Both need Rust, Python ≥ 3.10, a C compiler
# and the package registries; everything else they install, pinned, into .venv. `make test` also needs Node.js (node and npm).
# Where there is valgrind, it counts instructions, too.

.PHONY: help run test check transcript pages picture schemas trust-proof reference simulate fuzz hostile mutants rust-tests stack-tests \
        test-moto acceptance acceptance-sweep acceptance-trial environment tools build-Function bootstrap site bundle bundle-twice bench profile figures links look clean
.DEFAULT_GOAL := help

# cargo-lambda comes from .venv, where there is one.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help:
	@echo "make run     deploy the template and two stacks on a local AWS, change them, delete them (KEEP=1 leaves it up)"
	@echo "make test    every check: format, lints, docs, unit tests and laws, recorded events, stacks on a local AWS"
	@echo "make check   the part of it that needs no local AWS"
	@echo "make test-moto   the part of it that drives the function against moto, which nobody wrote for it"
	@echo "make acceptance   the product on a real account and at GitHub: see docs/acceptance.md (acceptance-sweep, acceptance-trial)"
	@echo "make simulate N=100000, make fuzz, make trust-proof TRUST_DECLARATIONS=5700 TRUST_TOKENS=340   the same for longer"
	@echo "make hostile   hostile events and hostile servers against the release: 3,200 events, some 500 scenarios"
	@echo "make mutants   change the code that decides, one place at a time: some test has to fail (SHARD=0/16, FILES=...)"
	@echo "make bundle  the archive that a pipeline without Rust deploys (ARCHITECTURE=arm64 for the other one)"
	@echo "make bench   measure the function beside what people use instead, and write docs/performance.md (ROUNDS=15)"
	@echo "make profile   what the cold path spends its instructions and system calls on"
	@echo "make figures   write the figures anew that make test compares with: instructions, size, crates"
	@echo "make reference   write schemas/ and docs/reference/ anew, after a change of properties"
	@echo "make site    build the documents as a site with a search, target/site/index.html"
	@echo "make look    build it, and look at it in a browser: light, dark, on a phone; pictures in target/site-pictures"
	@echo "make links   ask for every address elsewhere that the documents link to"
	@echo "make clean   remove what the others made"

run: environment
	@.venv/bin/python tests/local_aws/run.py

test: check stack-tests

# With the command, so that everything is built once.
CARGO = --locked --features cli
PYTHON = tests/local_aws tests/moto tests/acceptance tests/policies tests/reference schemas tests/documents tests/bench tests/page tests/site requirements bundle site
check: environment
	cargo fmt --check
	cargo clippy $(CARGO) --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc $(CARGO) --no-deps --document-private-items
	.venv/bin/ruff check $(PYTHON)
	.venv/bin/ruff format --check $(PYTHON)
	.venv/bin/python tests/documents/links.py
	.venv/bin/python tests/documents/words.py
	.venv/bin/python -m pytest --quiet tests/documents
	.venv/bin/python -m pytest --quiet tests/bench
	.venv/bin/python -m pytest --quiet tests/policies
	cargo test $(CARGO)
	$(MAKE) --no-print-directory transcript schemas trust-proof pages test-moto

# What went over the simulated wire, read by botocore.
transcript: environment
	TRANSCRIPT=target/wire.jsonl N=60 cargo test $(CARGO) --test suite lifecycles::transcribe -- --ignored
	.venv/emulator/bin/python tests/simulation/check_transcript.py target/wire.jsonl

# The page of the audit in a browser, where there is one.
pages: environment
	PAGES=$(CURDIR)/target/pages cargo test $(CARGO) --test suite page::
	.venv/bin/python -m pytest --quiet tests/page

# The JSON Schemas take whatever the function takes, and refuse what is beyond a limit.
schemas: environment
	TAKEN=target/taken.jsonl BEYOND=target/beyond.jsonl cargo test $(CARGO) --test suite -- no_event_makes beyond_a_described
	.venv/bin/python tests/reference/check_schemas.py target/taken.jsonl target/beyond.jsonl

# The picture of the audit in the README, from the local AWS.
picture: environment
	.venv/bin/python tests/local_aws/picture.py docs/audit.png

# Random declarations and tokens: what our evaluator says of each policy, said by another one. For a million tokens
# TRUST_DECLARATIONS=5700 TRUST_TOKENS=340: about half of the declarations are refused, as a template does not allow them.
# And GRADED_POLICIES policies of others: each token that proves a grade of the audit, said by two others.
TRUST_DECLARATIONS ?= 60
TRUST_TOKENS ?= 40
GRADED_POLICIES ?= 200
trust-proof: export TRUST_PROOF = target/trust.jsonl
trust-proof: export TRUST_DECLARATIONS := $(TRUST_DECLARATIONS)
trust-proof: export TRUST_TOKENS := $(TRUST_TOKENS)
trust-proof: export GRADES = target/grades.jsonl
trust-proof: export GRADED_POLICIES := $(GRADED_POLICIES)
trust-proof: environment
	cargo test $(CARGO) --lib -- --ignored declarations_and_tokens generated_policies_and_grades
	node tests/policies/trust_proof.mjs .venv/simulator/node_modules/@cloud-copilot target/trust.jsonl
	.venv/bin/python tests/policies/grade_proof.py target/grades.jsonl

# Writes schemas/ and docs/reference/ from what the kinds say of their properties.
reference:
	WRITE=1 cargo test $(CARGO) --test suite the_reference_is

# Not parallel to `check`: two cargo builds would wait for each other.
stack-tests: check
	CARGO_PROFILE=release .venv/bin/python -m pytest tests/local_aws
	.venv/bin/python -m pytest tests/acceptance

# On a real account and at GitHub, for those who say so in their environment: docs/acceptance.md. Nothing is built, and
# nothing made, before it is clear that everything was said.
ACCEPTANCE = PYTHONPATH=tests/local_aws .venv/bin/python tests/acceptance/acceptance.py
acceptance: tools
	$(ACCEPTANCE) check
	rm -rf target/acceptance/archive
	$(MAKE) --no-print-directory bundle BUNDLES=target/acceptance/archive
	rm -rf target/acceptance/bundle && mkdir -p target/acceptance/bundle
	.venv/bin/python -m zipfile -e target/acceptance/archive/*-$(ARCHITECTURE).zip target/acceptance/bundle
	$(ACCEPTANCE) run

# What runs left that began so many hours ago.
HOURS ?= 3
acceptance-sweep: tools
	$(ACCEPTANCE) sweep $(HOURS)

# The run against the local AWS and the local GitHub, also ended at KILLS places and swept. `make test` has two of them.
KILLS ?= 20
acceptance-trial: export KILLS := $(KILLS)
acceptance-trial: environment
	.venv/bin/python -m pytest tests/acceptance -s

# Another AWS than ours: moto's IAM and Secrets Manager.
test-moto: environment
	QUIET_TRANSCRIPT=$(CURDIR)/target/quiet-days.jsonl cargo test $(CARGO) --test suite transcribe_quiet_days -- --ignored
	cargo build $(CARGO) --bin bootstrap
	.venv/bin/python -m pytest tests/moto

# Whole lifecycles with faults, out of seeds: `make simulate N=100000 SEED=1`. A failure prints its seed and the shortest
# history that was found to fail. Of the lives of objects at GitHub it plays at most 20,000.
N ?= 10000
SEED ?= 1
simulate:
	N=$(N) SEED=$(SEED) cargo test $(CARGO) --test suite -- random_lifecycles in_random_lives --nocapture

# Events changed at random: `make fuzz EXECUTIONS=1000000 SEED=1`.
EXECUTIONS ?= 1000000
fuzz:
	FUZZ_EXECUTIONS=$(EXECUTIONS) FUZZ_SEED=$(SEED) cargo test $(CARGO) --test suite fuzz:: -- --nocapture

# Hostile events and hostile servers against the release, in an address space of 256 MB: every one of 3,200 events and of some 500
# scenarios, in minutes. `make test` draws 400 and some 150 of them for the build of the tests.
hostile: bootstrap
	HOSTILE=full BOOTSTRAP=$(CURDIR)/$(RELEASE) cargo test $(CARGO) --test suite hostile_ -- --nocapture

# Changes the code that decides, one place at a time (FILES), in the work tree itself; some test has to fail
# for each. All of it takes a day on two cores, so `SHARD=0/16` takes one part of 16, and `FILES=src/ownership/owner.rs`
# one file. What no test noticed is in target/mutants.out/missed.txt.
FILES ?= $(foreach folder,reconcile ownership iam_policy cloudformation,src/$(folder)/**/*.rs)
CARGO_MUTANTS_VERSION = 27.1.0
CARGO_MUTANTS = target/tools/cargo-mutants-$(CARGO_MUTANTS_VERSION)
mutants: export N = 50
mutants: export FUZZ_EXECUTIONS = 2000
mutants: environment $(CARGO_MUTANTS)/bin/cargo-mutants
	$(CARGO_MUTANTS)/bin/cargo-mutants mutants --in-place $(if $(SHARD),--shard $(SHARD)) $(FILES:%=--file '%')

$(CARGO_MUTANTS)/bin/cargo-mutants:
	cargo install --locked --version $(CARGO_MUTANTS_VERSION) --root $(CARGO_MUTANTS) cargo-mutants

# Every link of the documents that leads elsewhere is asked for.
links: tools
	.venv/bin/python tests/documents/links.py --fetch

# SOURCE is the address of the repository's files, for links to source.
site:
	@python3 requirements/install.py site diagrams
	.venv/site/bin/python site/build.py $(if $(SOURCE),--source $(SOURCE))

# The site in a browser: in light, in dark, on a phone. Pictures are in target/site-pictures.
look: site
	@python3 requirements/install.py tools browser
	.venv/bin/python -m pytest --quiet tests/site

environment:
	@python3 requirements/install.py

tools:
	@python3 requirements/install.py tools

# What AWS runs. Amazon Linux 2023 has glibc 2.34; a binary linked against a newer one would not start there. Paths of this
# machine would make every build another one. RUSTFLAGS displaces the processor that cargo-lambda would choose for a
# release, so it is said here: the oldest that Lambda has.
CARGO_PROFILE ?= release
ARCHITECTURE ?= x86_64
PROCESSOR = $(if $(filter arm64,$(ARCHITECTURE)),neoverse-n1,haswell)
TARGET = $(if $(filter arm64,$(ARCHITECTURE)),aarch64,x86_64)-unknown-linux-gnu
CARGO_HOME ?= $(HOME)/.cargo
bootstrap: SYSROOT = $(shell $${RUSTC:-rustc} --print sysroot)
bootstrap: export RUSTFLAGS = $(if $(filter release profiling,$(CARGO_PROFILE)),-C target-cpu=$(PROCESSOR)) \
  --remap-path-prefix=$(CURDIR)=/github-trust --remap-path-prefix=$(CARGO_HOME)=/cargo --remap-path-prefix=$(SYSROOT)=/rust
bootstrap:
	cargo lambda build --locked --bin bootstrap --profile $(CARGO_PROFILE) --target $(TARGET).2.34 $(CARGO_LAMBDA_FLAGS)

# Called by `sam build`.
build-Function: bootstrap
	cp target/lambda/bootstrap/bootstrap "$(ARTIFACTS_DIR)/"

# The archive of one architecture, see bundle/README.md. A cross build needs the target's standard library; where there is
# no rustup to ask for it, CARGO_LAMBDA_FLAGS=--skip-target-check.
BUNDLES ?= target/bundle
bundle: tools bootstrap
	.venv/bin/python bundle/pack.py --architecture $(ARCHITECTURE) --bootstrap target/lambda/bootstrap/bootstrap --into $(BUNDLES)

# Builds what is committed in two directories that are gone afterwards, and compares the archives.
bundle-twice: tools
	.venv/bin/python bundle/twice.py $(ARCHITECTURE)

# Where there is no node, or where port 443 is not ours to take, the CDK's handler is left out.
ROUNDS ?= 15
RELEASE = target/lambda/bootstrap/bootstrap
bench: tools bootstrap
	.venv/bin/python tests/bench/bench.py --bootstrap $(RELEASE) --rounds $(ROUNDS)

profile: tools
	$(MAKE) --no-print-directory bootstrap CARGO_PROFILE=profiling
	.venv/bin/python tests/bench/cold_path.py --bootstrap $(RELEASE)

figures: tools bootstrap
	.venv/bin/python tests/bench/figures.py --bootstrap $(RELEASE)

clean:
	rm -rf target .venv .aws-sam
