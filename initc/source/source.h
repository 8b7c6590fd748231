/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_SOURCE_H
#define MODELBERTH_INITC_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "initc/http.h"
#include "initc/identity.h"
#include "initc/job.h"
#include "initc/manifest.h"

/*
 * Where models come from: a table from scheme to the three things that differ. What fetches,
 * hashes, retries and publishes is the same for all of them.
 */
struct source;

/* Takes the bytes of a file in order. */
struct source_sink {
    int (*write)(void *context, const void *bytes, size_t len, struct err *err);
    /* What comes next is the file from its first byte: the source did not keep to the range. */
    int (*restart)(void *context, struct err *err);
    void *context;
};

/* What one thread keeps between reads. */
struct source_reader {
    struct http *http;
    const struct manifest_file *file; /* that `link` belongs to */
    char *link;                       /* where the source sent us last time; NULL for none */
    char *etag;                       /* of the first answer, where nothing else pins the content */
    unsigned refused_links;           /* in a row */
    int64_t asked_s; /* after ERR_RETRY: seconds to wait that the source asked for, or -1 */
};

struct source_ops {
    enum source_scheme scheme;
    const char *how; /* for the receipt: "downloaded", "copied" */

    /* Reads credentials and settings. Returns 0, or -1 with *err. */
    int (*open)(struct source *s, struct err *err);

    /*
     * Lists the files (before filters) and what the version was resolved to (source->revision).
     * Retries inside. Returns 0, or -1 with *err.
     */
    int (*resolve)(struct source *s, struct manifest *out, struct err *err);

    /*
     * Reads the bytes from..to (both included) of a file into the sink, one try. Returns 0 when the
     * answer is complete, or -1 with *err; ERR_RETRY where another try may help.
     */
    int (*read)(struct source *s, struct source_reader *r, const struct manifest_file *file,
                uint64_t from, uint64_t to, const struct source_sink *sink, struct err *err);
};

struct source {
    const struct source_ops *ops;
    const struct identity *id;
    const struct plan_model *model;
    struct job *job;
    char *revision;    /* immutable; "" where the source has nothing of the kind */
    char *endpoint;    /* hf: without trailing slash */
    char *token;       /* hf; NULL for none. Never printed */
    char *token_where; /* hf: where it was found, or why there is none, for messages */
    char *etag;        /* https */
    int dir_fd;        /* pvc */
    char *file_name;   /* pvc: the source is this single file in dir_fd */
};

#define source_auto __attribute__((cleanup(source_release)))

/* `id`, `model` and `job` must outlive the source. Returns 0, or -1 with *err. */
int source_open(struct source *s, const struct identity *id, const struct plan_model *model,
                struct job *job, struct err *err);
void source_release(struct source *s);

/* The source's files after the model's filters, checked and sorted. Returns 0, or -1 with *err. */
int source_resolve(struct source *s, struct manifest *out, struct err *err);

void source_reader_release(struct source_reader *r);

extern const struct source_ops source_hf, source_https, source_pvc;

#endif
