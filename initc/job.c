/* SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include <time.h>

#define SLEEP_SLICE_MS 50

int64_t job_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int job_check(const struct job *job, struct err *err)
{
    switch (atomic_load(job->stop)) {
    case JOB_GO:
        break;
    case JOB_DEPOSED:
        return err_set(err, ERR_RETRY, "another process took over this download");
    case JOB_FAILED:
        return err_set(err, ERR_RETRY, "another file failed");
    default:
        return err_set(err, ERR_RETRY, "stopped by a signal");
    }
    if (job_now_ms() >= job->deadline_ms)
        return err_set(err, ERR_RETRY, "the timeout of the plan is over");
    return 0;
}

int job_sleep(const struct job *job, int64_t ms, struct err *err)
{
    int64_t until = job_now_ms() + ms;

    for (;;) {
        if (job_check(job, err))
            return -1;
        int64_t left = until - job_now_ms();
        if (left <= 0)
            return 0;
        int64_t slice = left < SLEEP_SLICE_MS ? left : SLEEP_SLICE_MS;
        struct timespec t = {.tv_nsec = slice * 1000000};
        (void)nanosleep(&t, NULL);
    }
}
