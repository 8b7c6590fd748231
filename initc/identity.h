/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_IDENTITY_H
#define MODELBERTH_INITC_IDENTITY_H

#include <stdbool.h>

#include "common/plan.h"
#include "common/source_uri.h"

/*
 * What a directory must hold, in one spelling: hf://a/b@main, hf://a/b:main and hf://a/b with
 * version main are the same.
 */
struct identity {
    struct source_uri uri;
    char *source;  /* without the pin, and for https without the query, which may be a secret */
    char *version; /* as asked: a revision, "sha256:<hex>", or "" */
    struct strlist include, exclude; /* sorted */
    char key[33];                    /* hex; names lock and staging of this model at this place */
};

#define identity_auto __attribute__((cleanup(identity_release)))

/* `name` is the directory's own name, part of the key. Returns 0, or -1 with ERR_INPUT. */
int identity_init(struct identity *id, const struct plan_model *model, const char *name,
                  struct err *err);
void identity_release(struct identity *id);

/* "hf://org/name@version" for messages; the caller's. */
char *identity_text(const char *source, const char *version);

#endif
