/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_JOB_H
#define MODELBERTH_INITC_JOB_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/err.h"
#include "progress.h"

/*
 * What all steps of one run share: until when, with which limits, and whether
 * to go on. Written by main before threads start; afterwards only `stop` and
 * `progress` change, both of them atomically.
 */
enum job_stop { JOB_GO = 0, JOB_SIGINT = 2, JOB_SIGTERM = 15, JOB_DEPOSED = 100, JOB_FAILED = 101 };

struct job {
    int64_t deadline_ms;    /* of job_now_ms(): when waiting and retrying end */
    int64_t stall_s;        /* a transfer that brings no byte for so long is cut */
    int64_t lock_timeout_s; /* an owner whose counter stands still for so long is dead */
    int64_t range_bytes;    /* asked for in one request */
    unsigned connections;   /* files fetched at the same time */
    const char *claims_dir; /* where the roots of claims are mounted, for pvc:// */
    _Atomic int *stop;      /* enum job_stop; set by signals, the lock, a failed thread of a pool */
    struct progress *progress;
};

/* Milliseconds of a clock that does not jump. */
int64_t job_now_ms(void);

/* 0 to go on; -1 with ERR_RETRY when the run was told to stop or its time is over. */
int job_check(const struct job *job, struct err *err);

/* Sleeps, and wakes up early to return what job_check() returns. */
int job_sleep(const struct job *job, int64_t ms, struct err *err);

#endif
