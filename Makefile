# SPDX-License-Identifier: Apache-2.0
# modelberth: `make help` lists the targets. Variants build into folders of
# their own (build, build/asan, build/tsan), so changing between them needs no clean.

VERSION := 0.1.0

# Sources in reading order: the path of the thing each program handles.
COMMON := \
	common/err.c \
	common/xalloc.c \
	common/strbuf.c \
	common/strlist.c \
	common/file.c \
	common/log.c \
	common/json.c \
	common/digest.c \
	common/duration.c \
	common/path.c \
	common/source_uri.c \
	common/plan.c

# An AdmissionReview: settings, bytes in, decision, edits, bytes out; and the same offline.
WEBHOOK := \
	webhook/main.c \
	webhook/options.c \
	webhook/yaml/yaml_stream.c \
	webhook/yaml/yaml.c \
	webhook/yaml/yaml_scalar.c \
	webhook/yaml/yaml_position.c \
	webhook/yaml/yaml_write.c \
	webhook/config.c \
	webhook/config_values.c \
	webhook/close_names.c \
	webhook/server/serve.c \
	webhook/server/listen.c \
	webhook/server/certs.c \
	webhook/server/server.c \
	webhook/server/connection.c \
	webhook/server/exchange.c \
	webhook/server/route.c \
	webhook/server/metrics.c \
	webhook/review.c \
	webhook/request.c \
	webhook/admit.c \
	webhook/workload.c \
	webhook/inject/pod.c \
	webhook/inject/inject.c \
	webhook/inject/volumes.c \
	webhook/inject/mounts.c \
	webhook/inject/scheduling.c \
	webhook/inject/init_container.c \
	webhook/inject/quantity.c \
	webhook/inject/patch.c \
	webhook/offline.c

# A model: plan, receipt, lock, files of the source, bytes, verification, publish.
INITC := \
	initc/main.c \
	initc/options.c \
	initc/place.c \
	initc/deliver.c \
	initc/identity.c \
	initc/layout.c \
	initc/dir.c \
	initc/settle.c \
	initc/receipt.c \
	initc/manifest.c \
	initc/verify.c \
	initc/structure.c \
	initc/safetensors.c \
	initc/gguf.c \
	initc/lock.c \
	initc/lock_record.c \
	initc/source/source.c \
	initc/source/credentials.c \
	initc/source/hf.c \
	initc/source/hf_list.c \
	initc/source/https.c \
	initc/source/pvc.c \
	initc/source/remote.c \
	initc/http.c \
	initc/http_url.c \
	initc/retry.c \
	initc/staging.c \
	initc/fetch.c \
	initc/transfer.c \
	initc/publish.c \
	initc/remembered.c \
	initc/job.c \
	initc/pool.c \
	initc/progress.c \
	initc/report.c \
	initc/show.c \
	initc/exit.c

CC ?= gcc
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
DESTDIR ?=
V ?=
SAN ?=
# Where a variant's files go: build, build/asan, build/tsan.
B := build$(if $(SAN),/$(SAN))

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wformat=2 -Wundef -Wconversion -Wno-sign-conversion \
	-Wimplicit-fallthrough -Wtrampolines -Wbidi-chars=any \
	-Werror=format-security -Werror=implicit -Werror=incompatible-pointer-types -Werror=int-conversion

# The OpenSSF compiler hardening guide, as far as gcc 12 takes it.
HARDENING := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-clash-protection -fstack-protector-strong \
	-fno-delete-null-pointer-checks -fno-strict-overflow -fno-strict-aliasing -fexceptions \
	-ftrivial-auto-var-init=zero -fPIE
HARDENING_LD := -pie -Wl,-z,nodlopen -Wl,-z,noexecstack -Wl,-z,relro -Wl,-z,now -Wl,--as-needed \
	-Wl,--no-copy-dt-needed-entries
ifeq ($(shell uname -m),x86_64)
HARDENING += -fcf-protection=full
endif

SANITIZE_asan := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZE_tsan := -fsanitize=thread
ifneq ($(SAN),)
# _FORTIFY_SOURCE hides calls from the sanitizers
HARDENING := -U_FORTIFY_SOURCE $(SANITIZE_$(SAN))
HARDENING_LD := $(SANITIZE_$(SAN))
endif

CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -DMODELBERTH_VERSION='"$(VERSION)"' -I. $(WARNINGS) \
	$(if $(DEVELOPER),-Werror) $(HARDENING) $(CFLAGS) -MMD -MP -pthread
ALL_LDFLAGS = $(HARDENING_LD) -pthread $(LDFLAGS)

COMMON_PKGS := jansson libcrypto
WEBHOOK_PKGS := $(COMMON_PKGS) libmicrohttpd gnutls yaml-0.1
INITC_PKGS := $(COMMON_PKGS) libcurl
libs = $(shell $(PKG_CONFIG) --libs $(1))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))

.DEFAULT_GOAL := all
.PHONY: all
all: $(B)/modelberth-webhook $(B)/modelberth-initc ## build both programs into build/

$(B)/obj/%.o: %.c Makefile
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/modelberth-webhook: $(call objects,$(COMMON) $(WEBHOOK))
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(WEBHOOK_PKGS))

$(B)/modelberth-initc: $(call objects,$(COMMON) $(INITC))
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(INITC_PKGS))

# Unit tests: tests/unit/<folder>/test_<module>.c is one cmocka program, linked with the sources of
# common/ and those of the program it belongs to, but for main.c.
UNIT := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*/test_*.c))
unit_objects = $(call objects,$(COMMON) $(filter-out %/main.c,$(1)))

$(B)/unit/common/%: $(B)/obj/tests/unit/common/%.o $(call unit_objects,)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(COMMON_PKGS) cmocka)

$(B)/unit/webhook/%: $(B)/obj/tests/unit/webhook/%.o $(call unit_objects,$(WEBHOOK))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(WEBHOOK_PKGS) cmocka)

$(B)/unit/initc/%: $(B)/obj/tests/unit/initc/%.o $(call unit_objects,$(INITC))
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(INITC_PKGS) cmocka)

.PHONY: unit-programs
unit-programs: $(UNIT)

# Tests. `tests/run.sh` runs suites and closes with `N passed, N failed, N skipped`.
.PHONY: check test asan tsan golden demo
check: all unit-programs ## the fast tests, seconds: no root, no cluster
	@MODELBERTH_BUILD=$(B) tests/run.sh --fast unit golden server initc manifests

test: ## everything: fast tests, the real Hub client, images, and a real one-node Kubernetes
	@tests/setup.sh check cluster
	@$(if $(KUBECONFIG),,tests/cluster/cluster.sh build)
	@$(MAKE) --no-print-directory all unit-programs
	@MODELBERTH_BUILD=$(B) tests/run.sh unit golden server initc manifests hub cluster e2e

asan: ## unit, golden, server and initc tests under AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory SAN=asan all unit-programs
	@MODELBERTH_BUILD=build/asan tests/run.sh unit golden server initc

tsan: ## the same under ThreadSanitizer
	@$(MAKE) --no-print-directory SAN=tsan all unit-programs
	@MODELBERTH_BUILD=build/tsan tests/run.sh unit golden server initc

golden: all ## rewrite the expected files of tests/golden; read the diff
	@MODELBERTH_BUILD=$(B) tests/run.sh golden --update

demo: ## show the main job on this machine: no Kubernetes, no internet but for missing packages
	@tests/setup.sh build
	@$(MAKE) --no-print-directory all
	@python3 tests/demo.py

.PHONY: images cluster-up cluster-down
images: all ## OCI archives of both programs in build/images
	@VERSION=$(VERSION) manifests/images/build.sh

cluster-up: ## start the one-node test Kubernetes and print its KUBECONFIG
	@tests/setup.sh cluster
	@tests/cluster/cluster.sh up

cluster-down: ## stop it and remove its state
	@tests/cluster/cluster.sh down

# Style. The limits are those of CONTRIBUTING.md.
C_FILES = $(wildcard common/*.[ch] webhook/*.[ch] webhook/*/*.[ch] initc/*.[ch] initc/*/*.[ch] tests/unit/*.[ch] tests/unit/*/*.[ch])
.PHONY: format lint
format: ## format the C sources
	@clang-format -i $(C_FILES)

lint: ## format check, shellcheck, cppcheck, spelling and size limits
	@tests/lint.sh

.PHONY: install clean help
install: all ## install both programs under DESTDIR and PREFIX
	install -D -m 755 build/modelberth-webhook $(DESTDIR)$(PREFIX)/bin/modelberth-webhook
	install -D -m 755 build/modelberth-initc $(DESTDIR)$(PREFIX)/bin/modelberth-initc

clean: ## remove build/
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.SECONDARY:
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
