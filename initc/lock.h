/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_LOCK_H
#define MODELBERTH_INITC_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "job.h"

/*
 * One downloader per model on a shared volume; the others wait and watch. It saves bandwidth and
 * nothing else: what is published is verified by the process that publishes it, with or
 * without the lock.
 *
 * The lock is the file <key>.<generation> in the state directory. The owner of the highest
 * generation owns the model.
 *
 *   free      no file. Whoever creates generation 1 (O_CREAT|O_EXCL) is owner.
 *   owned     the owner writes a growing counter and its progress into the file, nine times in
 *             the lock timeout. There are no wall clocks in it.
 *   dead      a waiter saw the same bytes for the whole timeout of its own monotonic clock; or it
 *             runs on the same kernel as the owner and gets the flock(2) that the owner holds
 *             as long as it lives.
 *   taken     the waiter that creates generation + 1 is owner; the file before it is removed.
 *   released  the owner removes its file.
 *
 * An owner is deposed when its file is gone, is another's, or a higher generation exists: it looks
 * at every beat and before it publishes. An owner that could not beat for half the timeout counts
 * itself as deposed, because a waiter may be about to take over. Removing files
 * lets generations start again at 1, which is why the owner compares its nonce and not only the
 * name.
 */
#define LOCK_RECORD_BYTES 512 /* one write of fixed size: a reader sees the old or the new */
#define LOCK_NONCE_BYTES 17

struct lock {
    struct job *job;
    int state_fd; /* the state directory; borrowed */
    char key[40];
    char nonce[LOCK_NONCE_BYTES]; /* hex; also names the owner's staging */
    uint64_t generation;          /* 0: not held */
    uint64_t beats;
    int fd; /* holds the flock */
    bool flocked;
    int64_t last_beat_ms;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool ending;
};

/* What a lock file says. */
struct lock_record {
    char nonce[LOCK_NONCE_BYTES];
    char boot[40]; /* boot id of the owner's kernel */
    char host[64];
    bool flocked;
    uint64_t beats;
    uint64_t bytes_done, bytes_total, files_done, files_total;
};

/* Pure: the record as LOCK_RECORD_BYTES of padded JSON, and back. parse returns 0, or -1. */
void lock_record_format(const struct lock_record *r, char out[static LOCK_RECORD_BYTES]);
int lock_record_parse(const char *text, size_t len, struct lock_record *out);

/*
 * Pure: what a waiter has seen of a lock file. `fresh` starts over; later calls return true once
 * the same bytes stood for `timeout_ms`.
 */
struct lock_watch {
    char seen[LOCK_RECORD_BYTES];
    size_t len;
    uint64_t generation;
    int64_t since_ms;
};
bool lock_watch_is_dead(struct lock_watch *w, uint64_t generation, const char *text, size_t len,
                        int64_t now_ms, int64_t timeout_ms);

/*
 * Tries to own the model `key`, waiting for another owner. `is_done` is asked again and again while
 * waiting: 1 when there is nothing left to do, 0, or -1 with *err.
 *
 * Returns 1 owned (release it), 0 when `is_done` said so, -1 with *err.
 */
typedef int lock_is_done(void *context, struct err *err);
int lock_acquire(struct lock *lock, struct job *job, int state_fd, const char *key,
                 lock_is_done *is_done, void *context, struct err *err);

/* Before publishing: still the owner? Looks at the files now. Returns 0, or -1 with ERR_RETRY. */
int lock_confirm(struct lock *lock, struct err *err);

/* Ends the beats and removes the file where it is still ours. Safe when not held. */
void lock_release(struct lock *lock);

#endif
