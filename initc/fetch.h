/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_FETCH_H
#define MODELBERTH_INITC_FETCH_H

#include "manifest.h"
#include "source/source.h"
#include "staging.h"

/*
 * Brings all files of a manifest that are not `present` into the staging tree, several at a
 * time, after a look whether the volume has room. Memory stays the same whatever the sizes: a
 * connection's buffer each.
 *
 * fetched  bytes that came from the source
 *
 * Returns 0, or -1 with *err of the first file that failed.
 */
int fetch_all(struct source *source, struct manifest *manifest, const struct staging *staging,
              uint64_t *fetched, struct err *err);

#endif
