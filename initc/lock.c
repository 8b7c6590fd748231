/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/xalloc.h"

#define BEATS_IN_TIMEOUT 9
#define POLL_MAX_MS 1000
#define NAME_BYTES 80

static void lock_name(const struct lock *l, uint64_t generation, char out[static NAME_BYTES])
{
    (void)snprintf(out, NAME_BYTES, "%s.%llu", l->key, (unsigned long long)generation);
}

static int64_t timeout_ms(const struct lock *l)
{
    return l->job->lock_timeout_s * 1000;
}

static void own_record(const struct lock *l, struct lock_record *r)
{
    const struct progress *p = l->job->progress;
    autofree char *boot = NULL;
    struct err ignored;

    memset(r, 0, sizeof *r);
    memcpy(r->nonce, l->nonce, sizeof r->nonce);
    if (!file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &boot, NULL, &ignored))
        (void)snprintf(r->boot, sizeof r->boot, "%.36s", boot);
    if (gethostname(r->host, sizeof r->host - 1))
        r->host[0] = '\0';
    r->flocked = l->flocked;
    r->beats = l->beats;
    r->bytes_done = atomic_load(&p->bytes_done);
    r->bytes_total = atomic_load(&p->bytes_total);
    r->files_done = atomic_load(&p->files_done);
    r->files_total = atomic_load(&p->files_total);
}

/* Reads generation `g` with a fresh open: on NFS that is what asks the server. Returns its length,
 * or -1. */
static ssize_t read_lock(const struct lock *l, uint64_t g, char out[static LOCK_RECORD_BYTES])
{
    char name[NAME_BYTES];

    lock_name(l, g, name);
    autoclose int fd = openat(l->state_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -1 : pread(fd, out, LOCK_RECORD_BYTES, 0);
}

/* The highest generation there is, 0 for none. */
static uint64_t highest_generation(const struct lock *l)
{
    uint64_t highest = 0;
    size_t n = strlen(l->key);
    int fd = openat(l->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (!dir)
        return 0;
    while ((e = readdir(dir))) {
        char *end;
        if (strncmp(e->d_name, l->key, n) != 0 || e->d_name[n] != '.')
            continue;
        unsigned long long g = strtoull(e->d_name + n + 1, &end, 10);
        if (!*end && g > highest)
            highest = g;
    }
    (void)closedir(dir);
    return highest;
}

static bool is_still_owner(const struct lock *l)
{
    char text[LOCK_RECORD_BYTES];
    struct lock_record r;
    ssize_t n = read_lock(l, l->generation, text);

    return n > 0 && !lock_record_parse(text, (size_t)n, &r) && !strcmp(r.nonce, l->nonce) &&
           highest_generation(l) == l->generation;
}

/* Returns 0, or -1 when the lock is lost or could not be written. */
static int beat(struct lock *l)
{
    char text[LOCK_RECORD_BYTES];
    struct lock_record r;

    if (!is_still_owner(l))
        return -1;
    l->beats++;
    own_record(l, &r);
    lock_record_format(&r, text);
    if (pwrite(l->fd, text, sizeof text, 0) != sizeof text || fdatasync(l->fd))
        return 0; /* seen by the age of the last beat */
    l->last_beat_ms = job_now_ms();
    return 0;
}

static void *beat_on(void *arg)
{
    struct lock *l = arg;
    int64_t every = timeout_ms(l) / BEATS_IN_TIMEOUT;

    (void)pthread_mutex_lock(&l->mutex);
    while (!l->ending) {
        int64_t next = job_now_ms() + every;
        struct timespec until = {.tv_sec = next / 1000, .tv_nsec = next % 1000 * 1000000};
        (void)pthread_cond_timedwait(&l->wake, &l->mutex, &until);
        if (l->ending)
            break;
        bool late = job_now_ms() - l->last_beat_ms > timeout_ms(l) / 2;
        if (late || beat(l)) {
            int go = JOB_GO;
            (void)atomic_compare_exchange_strong(l->job->stop, &go, JOB_DEPOSED);
            break;
        }
    }
    (void)pthread_mutex_unlock(&l->mutex);
    return NULL;
}

static void start_beating(struct lock *l)
{
    pthread_condattr_t attributes;

    (void)pthread_mutex_init(&l->mutex, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    l->ending = false;
    if (pthread_create(&l->thread, NULL, beat_on, l)) {
        (void)fputs("cannot start a thread\n", stderr);
        abort();
    }
}

/* Creates generation `g`. Returns 1 owned, 0 somebody else was first, -1 with *err. */
static int claim(struct lock *l, uint64_t g, struct err *err)
{
    char name[NAME_BYTES], text[LOCK_RECORD_BYTES];
    struct lock_record r;

    lock_name(l, g, name);
    int fd = openat(l->state_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST)
        return 0;
    if (fd < 0)
        return err_errno(err, errno, "cannot create the lock '%s'", name);
    l->fd = fd;
    l->flocked = !flock(fd, LOCK_EX | LOCK_NB);
    l->generation = g;
    l->beats = 1;
    own_record(l, &r);
    lock_record_format(&r, text);
    if (file_write_all(fd, name, text, sizeof text, err) || fdatasync(fd)) {
        (void)unlinkat(l->state_fd, name, 0);
        (void)close(take_fd(l->fd));
        l->generation = 0;
        return err->os_errno ? -1 : err_errno(err, errno, "cannot sync the lock '%s'", name);
    }
    for (uint64_t old = g - 1; old > 0 && old + 8 > g; old--) {
        lock_name(l, old, name);
        (void)unlinkat(l->state_fd, name, 0);
    }
    l->last_beat_ms = job_now_ms();
    start_beating(l);
    return 1;
}

/* On the owner's kernel its flock tells at once that it is gone. */
static bool owner_is_gone(const struct lock *l, uint64_t g, const struct lock_record *r)
{
    struct lock_record own;
    char name[NAME_BYTES];

    own_record(l, &own);
    if (!r->flocked || !own.boot[0] || strcmp(r->boot, own.boot) != 0)
        return false;
    lock_name(l, g, name);
    /* NFS has flock only for descriptors that may write */
    autoclose int fd = openat(l->state_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB);
}

static void show_owner(struct job *job, const struct lock_record *r)
{
    struct progress *p = job->progress;

    atomic_store(&p->bytes_done, r->bytes_done);
    atomic_store(&p->bytes_total, r->bytes_total);
    atomic_store(&p->files_done, r->files_done);
    atomic_store(&p->files_total, r->files_total);
}

/* Looks once at generation `g`. Returns true when its owner is dead. */
static bool look(struct lock *l, uint64_t g, struct lock_watch *watch)
{
    char text[LOCK_RECORD_BYTES];
    struct lock_record r;
    ssize_t n = read_lock(l, g, text);

    if (n < 0)
        return false; /* gone meanwhile: the next round sees what is there */
    bool readable = !lock_record_parse(text, (size_t)n, &r);
    if (readable) {
        bool first = watch->generation != g;
        show_owner(l->job, &r);
        if (first)
            progress_note(l->job->progress,
                          "waiting for another download of the same model (%.60s)", r.host);
        if (owner_is_gone(l, g, &r))
            return true;
    }
    return lock_watch_is_dead(watch, g, text, (size_t)n, job_now_ms(), timeout_ms(l));
}

static void init(struct lock *l, struct job *job, int state_fd, const char *key)
{
    uint64_t random = 0;

    memset(l, 0, sizeof *l);
    l->fd = -1;
    l->job = job;
    l->state_fd = state_fd;
    (void)snprintf(l->key, sizeof l->key, "%s", key);
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = (uint64_t)job_now_ms() << 20 ^ (uint64_t)getpid();
    (void)snprintf(l->nonce, sizeof l->nonce, "%016llx", (unsigned long long)random);
}

int lock_acquire(struct lock *lock, struct job *job, int state_fd, const char *key,
                 lock_is_done *is_done, void *context, struct err *err)
{
    struct lock_watch watch = {0};
    int64_t poll = job->lock_timeout_s * 1000 / BEATS_IN_TIMEOUT;

    init(lock, job, state_fd, key);
    for (;;) {
        int done = is_done(context, err);
        if (done)
            return done < 0 ? -1 : 0;
        uint64_t g = highest_generation(lock);
        if (!g || look(lock, g, &watch)) {
            int owned = claim(lock, g + 1, err);
            if (owned < 0)
                return -1;
            if (owned) {
                progress_phase(job->progress, "starting", 0, 0);
                return 1;
            }
        }
        if (g)
            atomic_store(&job->progress->phase, "waiting for another download");
        if (job_sleep(job, poll < POLL_MAX_MS ? poll : POLL_MAX_MS, err))
            return err_wrap(err, "waiting for another download of the same model");
    }
}

int lock_confirm(struct lock *lock, struct err *err)
{
    if (job_check(lock->job, err))
        return -1;
    (void)pthread_mutex_lock(&lock->mutex);
    bool late = job_now_ms() - lock->last_beat_ms > timeout_ms(lock) / 2;
    bool owner = !late && is_still_owner(lock);
    (void)pthread_mutex_unlock(&lock->mutex);
    if (owner)
        return 0;
    return err_set(err, ERR_RETRY, "another process took over this download");
}

void lock_release(struct lock *lock)
{
    char name[NAME_BYTES];

    if (!lock->generation)
        return;
    (void)pthread_mutex_lock(&lock->mutex);
    lock->ending = true;
    (void)pthread_cond_signal(&lock->wake);
    (void)pthread_mutex_unlock(&lock->mutex);
    (void)pthread_join(lock->thread, NULL);
    if (is_still_owner(lock)) {
        lock_name(lock, lock->generation, name);
        (void)unlinkat(lock->state_fd, name, 0);
    }
    (void)close(take_fd(lock->fd));
    lock->generation = 0;
}
