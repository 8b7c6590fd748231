/* SPDX-License-Identifier: Apache-2.0 */
#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "dir.h"
#include "pool.h"

#define READ_BYTES (1024 * 1024)

struct check {
    int at_fd;
    struct manifest *files;
    struct job *job;
    bool missing_is_fine;
};

static int missing(const char *path, int os_errno, struct err *err)
{
    if (os_errno == ENOENT || os_errno == ENOTDIR)
        return err_set(err, ERR_INTEGRITY, "'%.300s' is missing", path);
    if (os_errno == EXDEV)
        return err_set(err, ERR_INTEGRITY, "'%.300s' is a link that leaves the model's directory",
                       path);
    return err_errno(err, os_errno, "cannot look at '%s'", path);
}

static int wrong_size(const struct manifest_file *f, int64_t size, struct err *err)
{
    return err_set(err, ERR_INTEGRITY, "'%.300s' has %lld bytes, expected are %llu", f->path,
                   (long long)size, (unsigned long long)f->size);
}

static int hash(int fd, const struct manifest_file *f, struct job *job, struct digest *out,
                struct err *err)
{
    autofree char *buffer = xmalloc(READ_BYTES);
    hasher_auto struct hasher *h =
        hasher_new(f->digest.algo ? f->digest.algo : DIGEST_SHA256, f->size);
    uint64_t done = 0;

    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (;;) {
        ssize_t n = read(fd, buffer, READ_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot read '%s'", f->path);
        if (n == 0)
            break;
        hasher_update(h, buffer, (size_t)n);
        done += (uint64_t)n;
        atomic_fetch_add(&job->progress->bytes_done, (uint64_t)n);
        if (job_check(job, err))
            return -1;
    }
    if (done != f->size)
        return wrong_size(f, (int64_t)done, err);
    hasher_final(h, out);
    return 0;
}

static int judge(int fd, struct manifest_file *f, struct job *job, struct err *err)
{
    char want[DIGEST_TEXT_BYTES], got[DIGEST_TEXT_BYTES];
    struct digest actual;

    if (hash(fd, f, job, &actual, err))
        return -1;
    if (!f->digest.algo) {
        f->digest = actual;
        f->unverified = true;
        return 0;
    }
    if (digest_equal(&actual, &f->digest))
        return 0;
    return err_set(err, ERR_INTEGRITY, "'%.300s' has the wrong content: expected %s, found %s",
                   f->path, digest_format(&f->digest, want), digest_format(&actual, got));
}

static int check_one(void *context, unsigned thread, size_t item, struct err *err)
{
    struct check *c = context;
    struct manifest_file *f = &c->files->files[item];
    struct stat st;

    (void)thread;
    autoclose int fd = dir_open_beneath(c->at_fd, f->path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0 && errno == ENOENT && c->missing_is_fine)
        return 0;
    if (fd < 0 || fstat(fd, &st))
        return missing(f->path, errno, err);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INTEGRITY, "'%.300s' is not a file", f->path);
    if ((uint64_t)st.st_size != f->size)
        return wrong_size(f, st.st_size, err);
    if (judge(fd, f, c->job, err))
        return -1;
    f->mtime_s = st.st_mtim.tv_sec;
    f->present = true;
    atomic_fetch_add(&c->job->progress->files_done, 1);
    return 0;
}

static int check_all(int at_fd, struct manifest *files, struct job *job, bool missing_is_fine,
                     struct err *err)
{
    struct check c = {
        .at_fd = at_fd, .files = files, .job = job, .missing_is_fine = missing_is_fine};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    progress_phase(job->progress, "verifying", files->bytes, files->n);
    return pool_run(job, files->n, processors > 1 ? (unsigned)processors : 1, check_one, &c, err);
}

int verify_full(int at_fd, struct manifest *files, struct job *job, struct err *err)
{
    return check_all(at_fd, files, job, false, err);
}

int verify_present(int at_fd, struct manifest *files, struct job *job, struct err *err)
{
    return check_all(at_fd, files, job, true, err);
}

int verify_quick(int at_fd, const struct manifest *files, struct job *job, size_t *rehashed,
                 struct err *err)
{
    size_t hashed = 0;

    for (size_t i = 0; i < files->n; i++) {
        struct manifest_file f = files->files[i];
        struct stat st;
        if (fstatat(at_fd, f.path, &st, 0))
            return missing(f.path, errno, err);
        if (!S_ISREG(st.st_mode))
            return err_set(err, ERR_INTEGRITY, "'%.300s' is not a file", f.path);
        if ((uint64_t)st.st_size != f.size)
            return wrong_size(&f, st.st_size, err);
        if (st.st_mtim.tv_sec == f.mtime_s)
            continue;
        autoclose int fd = dir_open_beneath(at_fd, f.path, O_RDONLY | O_NONBLOCK, 0);
        if (fd < 0)
            return missing(f.path, errno, err);
        if (!hashed++)
            progress_phase(job->progress, "verifying", files->bytes, files->n);
        if (judge(fd, &f, job, err))
            return -1;
    }
    if (rehashed)
        *rehashed = hashed;
    return 0;
}
