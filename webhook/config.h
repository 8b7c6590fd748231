/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_CONFIG_H
#define MODELBERTH_CONFIG_H

#include <jansson.h>
#include <stdint.h>

#include "common/err.h"
#include "common/strbuf.h"

/*
 * The operator's settings. One table in config.c holds every key with its
 * default and its description; parsing and `--help-config` both follow it.
 * Read-only once loaded, so all threads share it.
 */

#define CONFIG_MAX_BYTES (256 * 1024)

/* What is written into every init container, unless the pod's annotations say otherwise. */
struct config_init {
    char *image;             /* "" until given: nothing can be injected without it */
    char *image_pull_policy; /* Always, IfNotPresent or Never */
    char *cpu;               /* quantities; request and limit alike */
    char *memory;
    int64_t run_as_user;
    int64_t run_as_group;
    int64_t timeout_s;
    json_t *env; /* object of name -> string; NULL when none */
};

struct config {
    char *listen; /* ADDR:PORT, [ADDR]:PORT */
    struct config_tls {
        char *certificate; /* PEM files, read again when they change */
        char *key;
    } tls;
    int64_t drain_s; /* time between "not ready" and the end */
    struct config_init init;
};

#define config_auto __attribute__((cleanup(config_release)))

/* Every key at its default. To be released by the caller. */
void config_defaults(struct config *out);

/*
 * Reads the YAML file `path` over the defaults in `config`.
 *
 * Returns 0, or -1 with ERR_INPUT "<path>:<line>:<column>: ..." for an unknown
 * key (with the known ones that are close), a wrong type or a bad value, or as
 * file_read(). `config` must be released either way.
 */
int config_load(struct config *config, const char *path, struct err *err);

/* As config_load(), from memory. `name` stands for the file in messages. */
int config_parse(struct config *config, const char *name, const char *text, size_t len,
                 struct err *err);

/*
 * Sets the key `path`, one of the table, after the same check as in the file.
 * Returns 0, or -1 with ERR_INPUT about the value alone.
 */
int config_set_key(struct config *config, const char *path, const char *text, struct err *err);

/* Replaces a string of the config; takes nothing, copies `value`. */
void config_set(char **member, const char *value);

/* Appends the documented example: every key, its default and what it means. */
void config_help(struct strbuf *out);

void config_release(struct config *config);

#endif
