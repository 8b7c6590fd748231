/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_TRANSFER_H
#define MODELBERTH_INITC_TRANSFER_H

#include "manifest.h"
#include "source/source.h"
#include "staging.h"

/*
 * Brings one file into the staging tree: what a dead owner has of it is hashed and used, the rest
 * comes from the source range by range, hashed in the stream. A file that is not what its digest
 * says is fetched once more, then that is ERR_INTEGRITY.
 *
 * file     on success its digest is set, also where the source gave none (then `unverified`)
 * fetched  bytes that came from the source are added
 *
 * Blocks until the file is durable. One thread works at one file; ranges follow each other.
 */
int transfer_file(struct source *source, struct source_reader *reader,
                  const struct staging *staging, struct manifest_file *file,
                  atomic_uint_fast64_t *fetched, struct err *err);

/* Pure: the next range of a file of `size` bytes, from `at`; `to` is its last byte. */
void transfer_next_range(uint64_t at, uint64_t size, uint64_t range_bytes, uint64_t *to);

#endif
