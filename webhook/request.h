/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_REQUEST_H
#define MODELBERTH_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/plan.h"
#include "common/strlist.h"

/*
 * What an object's annotations ask for, checked but not yet resolved: nothing of the pod
 * itself is looked at here.
 */
struct request {
    /* Strings are "" where the annotation is absent. */
    char *claim;      /* ome.io/pvc-name */
    char *path;       /* ome.io/pvc-subpath; "" is the claim's root */
    char *mount;      /* ome.io/mount-path */
    char *source;     /* modelberth.io/source, valid for source_uri_parse() with version */
    char *version;    /* modelberth.io/version */
    char *secret;     /* modelberth.io/secret */
    char *base_model; /* ome.io/base-model-name, set by OME on its pods */
    enum verify_mode verify;
    struct strlist include;
    struct strlist exclude;
    struct strlist containers; /* names, or the one entry "*"; empty: known serving names */
    char *cpu;                 /* modelberth.io/init-resources, canonical; "" is the config's */
    char *memory;
    int64_t run_as_user; /* -1: not asked */
    int64_t fs_group;    /* -1: not asked */
    int64_t timeout_s;   /* 0: the config's */
};

#define request_auto __attribute__((cleanup(request_release)))

/*
 * Reads the annotations of an object (NULL, null or an object).
 *
 * out       filled when they ask for a model; to be released by the caller
 * warnings  gets sentences about annotations that have no effect
 *
 * Returns 1 when they ask for a model, 0 when not, or -1 with ERR_DENIED and a
 * sentence that names the annotation, its value and the way out.
 */
int request_read(const json_t *annotations, struct request *out, struct strlist *warnings,
                 struct err *err);

void request_release(struct request *request);

#endif
