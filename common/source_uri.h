/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_SOURCE_URI_H
#define MODELBERTH_SOURCE_URI_H

#include <stdbool.h>

#include "digest.h"
#include "err.h"

/*
 * Where a model comes from, as users write it. The webhook checks it when the
 * pod is admitted and initc resolves it, with this one grammar:
 *
 *   hf://[datasets/]org/name[@revision][/path]   also hf://org/name:revision as KServe has it
 *   https://host/path                            one file; pinned by #sha256=<hex>
 *   pvc://claim[/path]                           another claim in the pod's namespace
 *
 * A version given beside the source (annotation modelberth.io/version, flag
 * --version) stands for the pin that the source does not carry: a revision
 * for hf, sha256=<hex> for https. Two different pins are refused.
 */
enum source_scheme { SOURCE_HF, SOURCE_HTTPS, SOURCE_PVC };

#define SOURCE_TEXT_MAX_BYTES 2048

struct source_uri {
    enum source_scheme scheme;
    bool dataset;   /* hf: a dataset repository */
    char *name;     /* hf: "org/name"; https: the URL without fragment; pvc: the claim */
    char *path;     /* hf, pvc: directory or file inside, "" for all; https: the file's name */
    char *revision; /* hf: as written, or NULL */
    struct digest digest; /* https: DIGEST_NONE when not pinned */
};

#define source_uri_auto __attribute__((cleanup(source_uri_release)))

/*
 * Parses `text` together with `version` (NULL or "" for none).
 *
 * out  to be released by the caller
 *
 * Returns 0, or -1 with ERR_INPUT; for a scheme that is not known the message lists those that are.
 */
int source_uri_parse(const char *text, const char *version, struct source_uri *out,
                     struct err *err);
void source_uri_release(struct source_uri *source);

/*
 * True when the pin can't move: a 40-digit commit, a digest. A branch, a tag
 * or no pin may name other content tomorrow.
 */
bool source_uri_is_immutable(const struct source_uri *source);

#endif
