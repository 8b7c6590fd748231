/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_MANIFEST_H
#define MODELBERTH_INITC_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/digest.h"
#include "common/err.h"
#include "common/strlist.h"

/*
 * The files of a model as its source lists them, or as a receipt recorded them. Zero-initialised
 * is empty.
 */
#define MANIFEST_MAX_FILES 100000

struct manifest_file {
    char *path;           /* relative, checked by path_check_model_file() */
    char *locator;        /* where the source has it (a URL, a path); NULL in a receipt */
    uint64_t size;        /* bytes */
    struct digest digest; /* what the content must be; DIGEST_NONE: the source gives none */
    int64_t mtime_s;      /* receipt: as it was published */
    bool present;         /* stands in the model's directory already, hashed by this process */
    bool unverified;      /* receipt: the digest is what arrived, no source vouches for it */
};

struct manifest {
    struct manifest_file *files;
    size_t n;
    size_t alloc;
    uint64_t bytes; /* of all files */
};

#define manifest_auto __attribute__((cleanup(manifest_release)))

/*
 * Adds a file, copying the strings. Returns 0, or -1 with ERR_SOURCE when the name may not be used
 * on a volume or there are too many files.
 */
int manifest_add(struct manifest *m, const char *path, const char *locator, uint64_t size,
                 const struct digest *digest, struct err *err);

/*
 * Keeps the files that match a glob of `include` (all of them when it is empty) and none of
 * `exclude`. '*' also matches '/', as on the Hub.
 */
void manifest_filter(struct manifest *m, const struct strlist *include,
                     const struct strlist *exclude);

/*
 * Sorts by path and refuses names that cannot stand beside each other: twice
 * the same, different only in case, or a file where another needs a directory.
 * Returns 0, or -1 with ERR_SOURCE naming both.
 */
int manifest_finish(struct manifest *m, struct err *err);

void manifest_release(struct manifest *m);

#endif
