/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <pthread.h>
#include <stdbool.h>

struct pool {
    struct job *job;
    size_t n;
    atomic_size_t next;
    pool_work *work;
    void *context;
    pthread_mutex_t lock;
    bool failed;
    struct err first;
};

struct worker {
    struct pool *pool;
    unsigned number;
    pthread_t thread;
};

static void fail(struct pool *p, const struct err *err)
{
    int go = JOB_GO;

    (void)pthread_mutex_lock(&p->lock);
    if (!p->failed)
        p->first = *err;
    p->failed = true;
    (void)pthread_mutex_unlock(&p->lock);
    (void)atomic_compare_exchange_strong(p->job->stop, &go, JOB_FAILED);
}

static void *run(void *arg)
{
    struct worker *w = arg;
    struct pool *p = w->pool;
    struct err err = {0};

    for (;;) {
        size_t item = atomic_fetch_add(&p->next, 1);
        if (item >= p->n)
            return NULL;
        if (job_check(p->job, &err) || p->work(p->context, w->number, item, &err)) {
            fail(p, &err);
            return NULL;
        }
    }
}

int pool_run(struct job *job, size_t n, unsigned threads, pool_work *work, void *context,
             struct err *err)
{
    struct worker workers[POOL_MAX_THREADS];
    struct pool p = {.job = job, .n = n, .work = work, .context = context};
    unsigned started = 1;
    int failed = JOB_FAILED;

    if (threads > POOL_MAX_THREADS)
        threads = POOL_MAX_THREADS;
    if (threads > n)
        threads = (unsigned)n;
    (void)pthread_mutex_init(&p.lock, NULL);
    for (; started < threads; started++) {
        workers[started] = (struct worker){.pool = &p, .number = started};
        if (pthread_create(&workers[started].thread, NULL, run, &workers[started]))
            break; /* fewer threads do the same work */
    }
    workers[0] = (struct worker){.pool = &p, .number = 0};
    (void)run(&workers[0]);
    for (unsigned i = 1; i < started; i++)
        (void)pthread_join(workers[i].thread, NULL);
    (void)pthread_mutex_destroy(&p.lock);
    (void)atomic_compare_exchange_strong(job->stop, &failed, JOB_GO);
    if (!p.failed)
        return 0;
    *err = p.first;
    return -1;
}
