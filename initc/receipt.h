/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_RECEIPT_H
#define MODELBERTH_INITC_RECEIPT_H

#include "common/err.h"
#include "common/strlist.h"
#include "identity.h"
#include "manifest.h"

/*
 * The proof that a directory holds what a source had: <path>/.modelberth/receipt.json.
 *
 *   {"v":1, "source":"hf://org/name", "version":"main", "revision":"<commit>",
 *    "include":[], "exclude":[], "bytes":N, "how":"downloaded", "tool":"modelberth-initc 0.1.0",
 *    "time":"2026-01-02T03:04:05Z",
 *    "files":[{"path":"config.json", "size":N, "digest":"sha256:...", "mtime":N}, ...]}
 *
 * A file whose digest no source vouches for has "unverified":true. Files are sorted by path.
 */
#define RECEIPT_MAX_BYTES (64 * 1024 * 1024)

struct receipt {
    char *source;
    char *version;  /* as asked */
    char *revision; /* what it was resolved to: a commit, a digest, "" */
    char *how;      /* "downloaded", "adopted", "copied" */
    char *tool;
    char *time;
    struct strlist include, exclude;
    struct manifest files;
};

#define receipt_auto __attribute__((cleanup(receipt_release)))

/*
 * Reads the receipt of the directory `dirfd`. Returns 1 found, 0 there is none, -1 with *err:
 * ERR_MISSING when it can't be understood.
 */
int receipt_load(int dirfd, struct receipt *out, struct err *err);

/*
 * Whether the receipt is for what is asked. Returns 0, or -1 with ERR_INTEGRITY naming both.
 * A pin by commit also fits what was asked by branch and resolved to that commit.
 */
int receipt_check(const struct receipt *r, const struct identity *asked, struct err *err);

/* The text of the file; the caller's. */
char *receipt_format(const struct receipt *r);

/*
 * Writes receipt and completion marker into the directory `dirfd`, durably, the
 * receipt last. Returns 0, or -1 as err_errno().
 */
int receipt_store(int dirfd, const struct receipt *r, struct err *err);

/* How many files no source vouches for. */
size_t receipt_unverified(const struct receipt *r);

void receipt_release(struct receipt *r);

#endif
