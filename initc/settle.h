/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_SETTLE_H
#define MODELBERTH_INITC_SETTLE_H

#include "deliver.h"
#include "identity.h"
#include "layout.h"

/*
 * What can be told from the volume alone.
 */
struct settling {
    const struct layout *layout;
    const struct identity *id; /* NULL without a source */
    struct job *job;
    struct outcome *out;
};

/*
 * Returns 1 when the model is there and passes what the plan asks for; 0 when
 * it has to come from the source, or be held against it; -1 with *err.
 */
int settle(struct settling *s, struct err *err);

#endif
