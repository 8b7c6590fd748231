/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_POOL_H
#define MODELBERTH_INITC_POOL_H

#include <stddef.h>

#include "common/err.h"
#include "job.h"

/*
 * Calls `work` for 0..n-1 on up to `threads` threads (at most POOL_MAX_THREADS) and waits for all
 * of them. `thread` counts from 0, for what one thread keeps between its items.
 * The first failure stops the rest, through job->stop, and is the one returned.
 */
#define POOL_MAX_THREADS 64

typedef int pool_work(void *context, unsigned thread, size_t item, struct err *err);

int pool_run(struct job *job, size_t n, unsigned threads, pool_work *work, void *context,
             struct err *err);

#endif
