/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pvc://claim/path: a directory or file of another claim that is mounted beside. Its receipt gives
 * the digests; without one the files are hashed while they are copied and nobody vouches for them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/path.h"
#include "common/xalloc.h"
#include "initc/dir.h"
#include "initc/layout.h"
#include "initc/receipt.h"
#include "source.h"

#define COPY_BYTES (1024 * 1024)

static int pvc_open(struct source *s, struct err *err)
{
    autofree char *root = xasprintf("%s/%s", s->job->claims_dir, s->id->uri.name);
    const char *path = s->id->uri.path;
    autoclose int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root_fd < 0) {
        (void)err_errno(err, errno, "cannot open claim '%s', which must be mounted at '%s'",
                        s->id->uri.name, root);
        err->kind = ERR_SOURCE;
        return -1;
    }
    s->dir_fd = dir_open_beneath(root_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);
    if (s->dir_fd >= 0)
        return 0;
    if (errno == ENOTDIR) {
        const char *slash = strrchr(path, '/');
        autofree char *above = xstrndup(path, slash ? (size_t)(slash - path) : 0);
        s->file_name = xstrdup(slash ? slash + 1 : path);
        s->dir_fd = dir_open_beneath(root_fd, *above ? above : ".", O_RDONLY | O_DIRECTORY, 0);
        struct stat st;
        if (s->dir_fd >= 0 && !fstatat(s->dir_fd, s->file_name, &st, AT_SYMLINK_NOFOLLOW) &&
            S_ISREG(st.st_mode))
            return 0;
    }
    autofree char *there = dir_describe(root_fd);
    return err_set(err, ERR_SOURCE, "claim '%s' has no '%.300s'; it holds %s", s->id->uri.name,
                   path, there);
}

struct listing {
    struct source *source;
    struct manifest *out;
};

static int add(void *context, const char *path, unsigned char type, struct err *err)
{
    struct listing *l = context;
    const struct digest none = {0};
    struct err ignored;
    struct stat st;

    if (type == DT_DIR || path_check_model_file(path, &ignored)) {
        bool ours =
            !strncmp(path, LAYOUT_STATE, strlen(LAYOUT_STATE)) || !strcmp(path, LAYOUT_MARKER);
        return type == DT_DIR || ours ? 0 : err_set(err, ERR_SOURCE, "%s", ignored.msg);
    }
    if (type != DT_REG)
        return err_set(err, ERR_SOURCE,
                       "claim '%s' has '%.300s', which is a link or device: only plain files are "
                       "copied",
                       l->source->id->uri.name, path);
    if (fstatat(l->source->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW))
        return err_errno(err, errno, "cannot look at '%s'", path);
    return manifest_add(l->out, path, path, (uint64_t)st.st_size, &none, err);
}

static int list_by_receipt(struct source *s, const struct receipt *receipt, struct manifest *out,
                           struct err *err)
{
    const struct digest none = {0};

    for (size_t i = 0; i < receipt->files.n; i++) {
        const struct manifest_file *f = &receipt->files.files[i];
        if (manifest_add(out, f->path, f->path, f->size, f->unverified ? &none : &f->digest, err))
            return -1;
    }
    free(s->revision);
    s->revision = xstrdup(receipt->revision);
    return 0;
}

static int pvc_resolve(struct source *s, struct manifest *out, struct err *err)
{
    receipt_auto struct receipt receipt = {0};
    struct listing listing = {.source = s, .out = out};

    if (s->file_name)
        return add(&listing, s->file_name, DT_REG, err);
    int found = receipt_load(s->dir_fd, &receipt, err);
    if (found < 0)
        return err_wrap(err, "claim '%s'", s->id->uri.name);
    if (found)
        return list_by_receipt(s, &receipt, out, err);
    return dir_walk(s->dir_fd, add, &listing, err);
}

static int pvc_read(struct source *s, struct source_reader *r, const struct manifest_file *file,
                    uint64_t from, uint64_t to, const struct source_sink *sink, struct err *err)
{
    autofree char *buffer = xmalloc(COPY_BYTES);
    autoclose int fd = dir_open_beneath(s->dir_fd, file->locator, O_RDONLY | O_NOFOLLOW, 0);

    r->asked_s = -1;
    if (fd < 0) {
        (void)err_errno(err, errno, "cannot open '%s' in claim '%s'", file->locator,
                        s->id->uri.name);
        err->kind = ERR_SOURCE;
        return -1;
    }
    for (uint64_t at = from; at <= to;) {
        size_t want = to - at + 1 < COPY_BYTES ? (size_t)(to - at + 1) : COPY_BYTES;
        ssize_t n = pread(fd, buffer, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot read '%s' in claim '%s'", file->locator,
                             s->id->uri.name);
        if (n == 0)
            return err_set(err, ERR_INTEGRITY, "'%s' in claim '%s' is shorter than %llu bytes",
                           file->locator, s->id->uri.name, (unsigned long long)file->size);
        if (job_check(s->job, err) || sink->write(sink->context, buffer, (size_t)n, err))
            return -1;
        at += (uint64_t)n;
    }
    return 0;
}

const struct source_ops source_pvc = {
    .scheme = SOURCE_PVC,
    .how = "copied",
    .open = pvc_open,
    .resolve = pvc_resolve,
    .read = pvc_read,
};
