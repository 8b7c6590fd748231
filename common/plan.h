/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_PLAN_H
#define MODELBERTH_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "strlist.h"

/*
 * The contract between the two programs: which models must be on which
 * volumes before the serving container starts. The webhook formats it into the init
 * container's environment, initc parses it, and initc's own flags build the same struct; both
 * directions live here so that they cannot drift.
 *
 *   {"v":1, "crit":["include"], "timeoutSeconds":3600, "models":[
 *     {"claim":"models", "root":"/mnt/modelberth/models", "path":"meta/llama",
 *      "mount":"/raid/models/llama", "source":"hf://org/name@<commit>", "version":"",
 *      "verify":"auto", "include":["*.safetensors"], "exclude":[],
 *      "credentials":"/var/run/secrets/modelberth.io/hf-token", "readOnly":true}]}
 *
 * Members that are empty or at their default are left out. A reader ignores
 * members it does not know, unless "crit" lists them: those change what may be
 * started, so an older initc must refuse the plan.
 */
#define PLAN_ENV "MODELBERTH_PLAN"
#define PLAN_MAX_BYTES (64 * 1024)
#define PLAN_MAX_MODELS 64
#define PLAN_CLAIMS_DIR "/mnt/modelberth"
#define PLAN_CREDENTIALS_DIR "/var/run/secrets/modelberth.io"
#define PLAN_DEFAULT_TIMEOUT_S 3600
#define PLAN_MAX_TIMEOUT_S (7 * 24 * 3600)

/*
 * auto       receipt there: quick; none and no source: structure; none but a
 *            source: every byte once against the source, then adopted
 * quick      sizes, times and receipt: finds accidents, not tampering
 * full       every byte
 * structure  headers and indexes against file lengths; needs no receipt
 * off        nothing but that the path exists
 */
enum verify_mode { VERIFY_AUTO, VERIFY_QUICK, VERIFY_FULL, VERIFY_STRUCTURE, VERIFY_OFF };

const char *verify_mode_name(enum verify_mode mode);
/* Returns 0, or -1 with ERR_INPUT and a message that lists the modes. */
int verify_mode_parse(const char *name, enum verify_mode *out, struct err *err);

struct plan_model {
    char *claim;       /* the PersistentVolumeClaim, for messages; "" on a laptop */
    char *root;        /* absolute directory where the claim's root is mounted */
    char *path;        /* model directory, relative to root; "" is the root itself */
    char *mount;       /* where serving containers see it, for messages; may be "" */
    char *source;      /* source_uri.h; "" verifies only */
    char *version;     /* pin where the source carries none; may be "" */
    char *credentials; /* absolute directory with one file per key; may be "" */
    enum verify_mode verify;
    struct strlist include; /* glob patterns; empty is everything */
    struct strlist exclude;
    bool read_only; /* the volume can't be written: verify only */
};

struct plan {
    struct plan_model *models;
    size_t n_models;
    int64_t timeout_s; /* 1..PLAN_MAX_TIMEOUT_S, for all models together */
};

#define plan_auto __attribute__((cleanup(plan_release)))

/*
 * Adds an empty model: all strings "", verify auto. The pointer is valid until the next call.
 * Set members with plan_set().
 */
struct plan_model *plan_add(struct plan *plan);

/* Replaces a string member by a copy of `value`; NULL counts as "". */
void plan_set(char **member, const char *value);

/*
 * The plan as one line of JSON in which every '$' is written \u0024: kubelet expands
 * $(NAME) in environment values, and a '$' of the user's must survive that.
 *
 * out  the caller's to free
 *
 * Returns 0, or -1 with ERR_INPUT when it would pass PLAN_MAX_BYTES.
 */
int plan_format(const struct plan *plan, char **out, struct err *err);

/*
 * Parses and validates: sources by source_uri_parse(), paths relative and
 * clean, root absolute. `out` is to be released by the caller. Returns 0, or -1 with ERR_INPUT that
 * names the member.
 */
int plan_parse(const char *text, struct plan *out, struct err *err);

void plan_release(struct plan *plan);

#endif
