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

# An AdmissionReview: bytes in, decision, edits, bytes out.
WEBHOOK := \
	webhook/main.c \
	webhook/options.c \
	webhook/yaml.c \
	webhook/config.c \
	webhook/certs.c \
	webhook/server.c \
	webhook/connection.c \
	webhook/route.c \
	webhook/review.c \
	webhook/request.c \
	webhook/quantity.c \
	webhook/admit.c \
	webhook/workload.c \
	webhook/pod.c \
	webhook/inject.c \
	webhook/volumes.c \
	webhook/mounts.c \
	webhook/scheduling.c \
	webhook/init_container.c \
	webhook/patch.c \
	webhook/metrics.c \
	webhook/offline.c

# A model: plan, receipt, lock, files of the source, bytes, verification, publish.
INITC := \
	initc/main.c

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

.SECONDARY:
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
