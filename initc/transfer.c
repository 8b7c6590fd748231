/* SPDX-License-Identifier: Apache-2.0 */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/xalloc.h"
#include "dir.h"
#include "retry.h"

#define COPY_BYTES (1024 * 1024)
/* Bytes after which the kernel is told to write: dirty pages stay few, the last sync is short. */
#define WRITE_BACK_BYTES (32ULL * 1024 * 1024)

struct transfer {
    struct source *source;
    struct source_reader *reader;
    const struct staging *staging;
    struct manifest_file *file;
    struct progress *progress;
    atomic_uint_fast64_t *fetched;
    struct hasher *hasher;
    char *part; /* below staging->fd */
    int fd;
    uint64_t at; /* bytes written and hashed */
    uint64_t written_back;
};

void transfer_next_range(uint64_t at, uint64_t size, uint64_t range_bytes, uint64_t *to)
{
    *to = (size - at > range_bytes ? at + range_bytes : size) - 1;
}

static void new_hasher(struct transfer *t)
{
    const struct manifest_file *f = t->file;

    hasher_free(t->hasher);
    t->hasher = hasher_new(f->digest.algo ? f->digest.algo : DIGEST_SHA256, f->size);
}

/* From the first byte again. */
static int restart(void *context, struct err *err)
{
    struct transfer *t = context;

    if (ftruncate(t->fd, 0) || lseek(t->fd, 0, SEEK_SET))
        return err_errno(err, errno, "cannot truncate '%s'", t->file->path);
    atomic_fetch_sub(&t->progress->bytes_done, t->at);
    t->at = 0;
    t->written_back = 0;
    new_hasher(t);
    return 0;
}

static void write_back(struct transfer *t)
{
    if (t->at - t->written_back < WRITE_BACK_BYTES)
        return;
    off_t begin = (off_t)t->written_back;
    off_t len = (off_t)(t->at - t->written_back);
    (void)sync_file_range(t->fd, begin, len, SYNC_FILE_RANGE_WRITE);
    /* the window before this one is on its way for long: wait for it and let it go */
    if (begin >= (off_t)WRITE_BACK_BYTES) {
        off_t before = begin - (off_t)WRITE_BACK_BYTES;
        (void)sync_file_range(t->fd, before, (off_t)WRITE_BACK_BYTES,
                              SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                  SYNC_FILE_RANGE_WAIT_AFTER);
        (void)posix_fadvise(t->fd, before, (off_t)WRITE_BACK_BYTES, POSIX_FADV_DONTNEED);
    }
    t->written_back = t->at;
}

static int append(struct transfer *t, const void *bytes, size_t len, struct err *err)
{
    if (len > t->file->size - t->at)
        return err_set(err, ERR_RETRY, "the source sends more than the %llu bytes of '%.200s'",
                       (unsigned long long)t->file->size, t->file->path);
    if (file_write_all(t->fd, t->file->path, bytes, len, err))
        return -1;
    hasher_update(t->hasher, bytes, len);
    t->at += len;
    atomic_fetch_add(&t->progress->bytes_done, len);
    write_back(t);
    return 0;
}

static int on_bytes(void *context, const void *bytes, size_t len, struct err *err)
{
    struct transfer *t = context;

    atomic_fetch_add(t->fetched, len);
    return append(t, bytes, len, err);
}

/* The prefix that a dead owner left, copied: it may still have its own file open. */
static int copy_prefix(struct transfer *t, struct err *err)
{
    autofree char *from = NULL;
    autofree char *buffer = NULL;
    autoclose int fd = staging_find(t->staging, t->file, false, &from);

    if (fd < 0)
        return 0;
    buffer = xmalloc(COPY_BYTES);
    while (t->at < t->file->size) {
        uint64_t left = t->file->size - t->at;
        ssize_t n = read(fd, buffer, left < COPY_BYTES ? (size_t)left : COPY_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* what cannot be read is fetched */
        if (job_check(t->source->job, err) || append(t, buffer, (size_t)n, err))
            return -1;
    }
    (void)unlinkat(t->staging->key_fd, from, 0);
    return 0;
}

static int open_part(struct transfer *t, struct err *err)
{
    t->part = staging_part_name(t->staging, t->file);
    t->fd =
        openat(t->staging->fd, t->part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (t->fd < 0)
        return err_errno(err, errno, "cannot create a file for '%s'", t->file->path);
    new_hasher(t);
    return copy_prefix(t, err);
}

/* All ranges that are missing, each tried until it is there or refused. */
static int fetch_rest(struct transfer *t, struct err *err)
{
    const struct source_sink sink = {.write = on_bytes, .restart = restart, .context = t};
    unsigned attempt = 0;

    while (t->at < t->file->size) {
        uint64_t before = t->at, to;
        transfer_next_range(t->at, t->file->size, (uint64_t)t->source->job->range_bytes, &to);
        int rc = t->source->ops->read(t->source, t->reader, t->file, t->at, to, &sink, err);
        if (t->at > before)
            attempt = 0;
        if (!rc && t->at > before)
            continue;
        if (!rc) {
            t->reader->asked_s = -1;
            (void)err_set(err, ERR_RETRY, "the source sends nothing of '%.200s'", t->file->path);
        }
        struct err stop;
        if (err->kind != ERR_RETRY)
            return -1;
        if (job_check(t->source->job, &stop)) {
            *err = stop;
            return -1;
        }
        if (retry_wait(t->source->job, ++attempt, t->reader->asked_s, err))
            return -1;
    }
    return 0;
}

/* Returns 1 when the content is right, 0 when it is not, and then `actual` is what it is. */
static int check_digest(struct transfer *t, struct digest *actual)
{
    hasher_final(t->hasher, actual);
    if (!t->file->digest.algo) {
        t->file->digest = *actual;
        t->file->unverified = true;
        return 1;
    }
    return digest_equal(actual, &t->file->digest);
}

static int wrong_content(const struct transfer *t, const struct digest *actual, struct err *err)
{
    char want[DIGEST_TEXT_BYTES], got[DIGEST_TEXT_BYTES];

    return err_set(err, ERR_INTEGRITY,
                   "'%.300s' came twice with the wrong content: expected %s, got %s", t->file->path,
                   digest_format(&t->file->digest, want), digest_format(actual, got));
}

static int into_tree(struct transfer *t, struct err *err)
{
    autofree char *target = xasprintf(STAGING_TREE "/%s", t->file->path);

    (void)fchmod(t->fd, 0644);
    /* a failed sync is not repeated: the kernel drops the pages and the next one lies */
    if (fdatasync(t->fd))
        return err_errno(err, errno, "cannot sync '%s'", t->file->path);
    (void)posix_fadvise(t->fd, 0, 0, POSIX_FADV_DONTNEED);
    if (close(take_fd(t->fd)))
        return err_errno(err, errno, "cannot close '%s'", t->file->path);
    if (dir_make_parents(t->staging->fd, target, err))
        return -1;
    if (renameat(t->staging->fd, t->part, t->staging->fd, target))
        return err_errno(err, errno, "cannot rename '%s' in the staging directory", t->file->path);
    return 0;
}

/* A complete file of a dead owner, if it is what it should be. Returns 1 taken, 0, or -1. */
static int take_complete(struct transfer *t, struct err *err)
{
    autofree char *from = NULL;
    autofree char *buffer = NULL;
    autofree char *target = xasprintf(STAGING_TREE "/%s", t->file->path);
    autoclose int fd = staging_find(t->staging, t->file, true, &from);
    hasher_auto struct hasher *h = NULL;
    struct digest actual;
    uint64_t done = 0;

    if (fd < 0)
        return 0;
    buffer = xmalloc(COPY_BYTES);
    h = hasher_new(t->file->digest.algo, t->file->size);
    for (ssize_t n; (n = read(fd, buffer, COPY_BYTES)) > 0; done += (uint64_t)n) {
        hasher_update(h, buffer, (size_t)n);
        if (job_check(t->source->job, err))
            return -1;
    }
    hasher_final(h, &actual);
    if (done != t->file->size || !digest_equal(&actual, &t->file->digest)) {
        (void)unlinkat(t->staging->key_fd, from, 0);
        return 0;
    }
    if (dir_make_parents(t->staging->fd, target, err))
        return -1;
    if (renameat(t->staging->key_fd, from, t->staging->fd, target))
        return 0;
    atomic_fetch_add(&t->progress->bytes_done, done);
    return 1;
}

static int run(struct transfer *t, struct err *err)
{
    struct digest actual;
    int taken = take_complete(t, err);

    if (taken)
        return taken < 0 ? -1 : 0;
    if (open_part(t, err))
        return -1;
    for (bool again = false;; again = true) {
        if (fetch_rest(t, err))
            return -1;
        if (check_digest(t, &actual))
            return into_tree(t, err);
        if (again)
            break;
        progress_note(t->progress, "'%.150s' came with the wrong content: fetched once more",
                      t->file->path);
        if (restart(t, err))
            return -1;
    }
    (void)unlinkat(t->staging->fd, t->part, 0);
    return wrong_content(t, &actual, err);
}

int transfer_file(struct source *source, struct source_reader *reader,
                  const struct staging *staging, struct manifest_file *file,
                  atomic_uint_fast64_t *fetched, struct err *err)
{
    struct transfer t = {
        .source = source,
        .reader = reader,
        .staging = staging,
        .file = file,
        .progress = source->job->progress,
        .fetched = fetched,
        .fd = -1,
    };

    int rc = run(&t, err);
    if (t.fd >= 0)
        (void)close(t.fd);
    hasher_free(t.hasher);
    free(t.part);
    if (!rc)
        atomic_fetch_add(&source->job->progress->files_done, 1);
    return rc;
}
