# `make run` shows the product on a local AWS; `make test` runs every check. Both install what they need into .venv and
# .venv-emulator, and nothing outside this folder.

CARGO_PROFILE ?= release
ARCHITECTURE ?= x86_64
TARGET = $(if $(filter arm64,$(ARCHITECTURE)),aarch64,x86_64)-unknown-linux-gnu

# Called by `sam build`. The glibc of Amazon Linux 2023 is 2.34; a binary linked against a newer one would not start.
.PHONY: build-Function
build-Function:
	cargo lambda build --bin bootstrap --profile $(CARGO_PROFILE) --target $(TARGET).2.34
	cp target/lambda/bootstrap/bootstrap "$(ARTIFACTS_DIR)/"
