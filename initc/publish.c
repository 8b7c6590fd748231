/* SPDX-License-Identifier: Apache-2.0 */
#include "publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/xalloc.h"
#include "dir.h"

/*
 * Files get a time two seconds before the volume's own clock: whatever is
 * written to them later, even at once, changes the whole seconds that a receipt keeps.
 */
#define STAMP_BEFORE_S 2

static int volume_time(const struct staging *staging, int64_t *now_s, struct err *err)
{
    struct stat st;
    autoclose int fd =
        openat(staging->fd, "clock", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0 || file_write_all(fd, "clock", "x", 1, err) || fstat(fd, &st))
        return err_errno(err, errno, "cannot read the volume's clock");
    *now_s = st.st_mtim.tv_sec;
    return 0;
}

static int stamp_files(int tree_fd, struct manifest *files, int64_t time_s, struct err *err)
{
    const struct timespec times[2] = {{.tv_sec = time_s}, {.tv_sec = time_s}};

    for (size_t i = 0; i < files->n; i++) {
        struct manifest_file *f = &files->files[i];
        struct stat st;
        if (f->present)
            continue;
        (void)utimensat(tree_fd, f->path, times, AT_SYMLINK_NOFOLLOW);
        if (fstatat(tree_fd, f->path, &st, AT_SYMLINK_NOFOLLOW))
            return err_errno(err, errno, "cannot look at '%s'", f->path);
        if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != f->size)
            return err_set(err, ERR_INTEGRITY, "'%.200s' changed in the staging directory",
                           f->path);
        f->mtime_s = st.st_mtim.tv_sec;
    }
    return 0;
}

static int sync_one(void *context, const char *path, unsigned char type, struct err *err)
{
    return type == DT_DIR ? dir_sync(*(const int *)context, path, err) : 0;
}

static int sync_tree(int tree_fd, struct err *err)
{
    if (dir_walk(tree_fd, sync_one, &tree_fd, err))
        return -1;
    return dir_sync(tree_fd, ".", err);
}

static int rename_tree(const struct layout *l, const struct staging *staging, struct err *err)
{
    if (!renameat(staging->fd, STAGING_TREE, l->parent_fd, l->name))
        return dir_sync(l->parent_fd, ".", err) ? -1 : 1;
    switch (errno) {
    case ENOTEMPTY:
    case EEXIST:
    case ENOENT: /* an NFS server that did it and lost the answer says so */
    case ENOTDIR:
        return 0;
    case EXDEV:
    case EBUSY:
    case EINVAL:
        (void)err_errno(err, errno, "cannot rename a directory to '%s'", l->shown);
        err->kind = ERR_PERMISSION;
        return err_wrap(err, "this volume cannot publish in one step");
    default:
        return err_errno(err, errno, "cannot rename the staging directory to '%s'", l->shown);
    }
}

static void mark_name(const char *key, char out[static 80])
{
    (void)snprintf(out, 80, LAYOUT_STATE "/%s.publishing", key);
}

bool publish_is_unfinished(const struct layout *l, const char *key)
{
    char name[80];

    mark_name(key, name);
    return l->is_root && !faccessat(l->parent_fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

void publish_finished(const struct layout *l, const char *key)
{
    char name[80];

    mark_name(key, name);
    (void)unlinkat(l->parent_fd, name, 0);
}

static int mark_unfinished(const struct layout *l, const char *key, struct err *err)
{
    char name[80];

    mark_name(key, name);
    autoclose int fd =
        openat(l->parent_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 || fsync(fd))
        return err_errno(err, errno, "cannot create '%s'", name);
    return dir_sync(l->parent_fd, LAYOUT_STATE, err);
}

/* Renames without ever replacing, also where the file system has no flag for that. */
static int move_file(int from_fd, int to_fd, const char *path)
{
    if (!renameat2(from_fd, path, to_fd, path, RENAME_NOREPLACE))
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (linkat(from_fd, path, to_fd, path, 0))
        return -1;
    return unlinkat(from_fd, path, 0);
}

/* The directories of the files, from each one up to the top. */
static int sync_directories(int at_fd, const struct manifest *files, struct err *err)
{
    const char *last = "";

    for (size_t i = 0; i < files->n; i++) {
        autofree char *path = xstrdup(files->files[i].path);
        for (char *slash; (slash = strrchr(path, '/'));) {
            *slash = '\0';
            size_t n = strlen(path);
            if (strncmp(last, path, n) != 0 || last[n] != '/') /* sorted: not synced before */
                if (dir_sync(at_fd, path, err))
                    return -1;
        }
        last = files->files[i].path;
    }
    return dir_sync(at_fd, ".", err);
}

static int move_files(const struct layout *l, int tree_fd, const struct manifest *files,
                      struct lock *lock, struct err *err)
{
    for (size_t i = 0; i < files->n; i++) {
        const struct manifest_file *f = &files->files[i];
        if (f->present)
            continue;
        if (job_check(lock->job, err) || dir_make_parents(l->parent_fd, f->path, err))
            return -1;
        if (!move_file(tree_fd, l->parent_fd, f->path))
            continue;
        if (errno == EEXIST)
            return 0;
        return err_errno(err, errno, "cannot move '%s' to its place", f->path);
    }
    return sync_directories(l->parent_fd, files, err) ? -1 : 1;
}

static int publish_root(const struct layout *l, int tree_fd, struct receipt *receipt,
                        struct lock *lock, struct err *err)
{
    if (mark_unfinished(l, lock->key, err))
        return -1;
    int moved = move_files(l, tree_fd, &receipt->files, lock, err);
    if (moved != 1)
        return moved;
    if (lock_confirm(lock, err) || receipt_store(l->parent_fd, receipt, err))
        return -1;
    publish_finished(l, lock->key);
    return 1;
}

int publish(const struct layout *layout, const struct staging *staging, struct lock *lock,
            struct receipt *receipt, struct err *err)
{
    int64_t now_s = 0;
    autoclose int tree_fd =
        openat(staging->fd, STAGING_TREE, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

    progress_phase(lock->job->progress, "publishing", 0, 0);
    if (tree_fd < 0)
        return err_errno(err, errno, "cannot open the staging tree");
    (void)fchmod(tree_fd, 0755);
    if (volume_time(staging, &now_s, err) ||
        stamp_files(tree_fd, &receipt->files, now_s - STAMP_BEFORE_S, err) ||
        sync_tree(tree_fd, err))
        return -1;
    if (layout->is_root)
        return lock_confirm(lock, err) ? -1 : publish_root(layout, tree_fd, receipt, lock, err);
    if (receipt_store(tree_fd, receipt, err) || lock_confirm(lock, err))
        return -1;
    return rename_tree(layout, staging, err);
}
