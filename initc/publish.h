/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_PUBLISH_H
#define MODELBERTH_INITC_PUBLISH_H

#include "common/err.h"
#include "layout.h"
#include "lock.h"
#include "receipt.h"
#include "staging.h"

/*
 * Makes the staging tree the model: times set, everything durable, then one
 * rename. A published file is never replaced.
 *
 * receipt  what was fetched; the files' times are filled in here
 *
 * Returns 1 published; 0 when something stands there already (somebody else may have been first:
 * look at its receipt); -1 with *err.
 */
int publish(const struct layout *layout, const struct staging *staging, struct lock *lock,
            struct receipt *receipt, struct err *err);

/*
 * A model at the volume's root cannot be one rename: files move one by one and the receipt comes
 * last. While that lasts this mark stands in the state directory, and files without a receipt are
 * those of an unfinished publish.
 */
bool publish_is_unfinished(const struct layout *layout, const char *key);
void publish_finished(const struct layout *layout, const char *key);

#endif
