/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_STRUCTURE_H
#define MODELBERTH_INITC_STRUCTURE_H

#include <stdint.h>

#include "common/err.h"
#include "job.h"

/*
 * Whether a directory that nobody vouches for can be a model: config.json is there and parses,
 * every shard of every *.index.json is there, and each safetensors and GGUF file is as long as its
 * own header says. Reads headers, no weights.
 */

/* Returns 0 with the number of files looked at, or -1 with ERR_MISSING that says what is wrong. */
int structure_check(int at_fd, struct job *job, size_t *files, struct err *err);

/* One file, by its name's ending; others pass. Returns 0, or -1 with ERR_MISSING. */
int structure_check_file(int fd, const char *path, struct err *err);

/* The header of a safetensors file of `size` bytes. */
int safetensors_check(int fd, const char *path, uint64_t size, struct err *err);

/* The header of a GGUF file of `size` bytes. */
int gguf_check(int fd, const char *path, uint64_t size, struct err *err);

#endif
