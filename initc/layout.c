/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "dir.h"

int layout_open(struct layout *l, const struct plan_model *model, struct err *err)
{
    const char *slash = strrchr(model->path, '/');

    l->model = model;
    l->is_root = !*model->path;
    l->shown = l->is_root ? xstrdup(model->root) : xasprintf("%s/%s", model->root, model->path);
    l->above = slash ? xstrndup(model->path, (size_t)(slash - model->path)) : xstrdup(".");
    l->name = xstrdup(l->is_root ? "." : slash ? slash + 1 : model->path);
    l->root_fd = open(model->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->root_fd < 0)
        return err_errno(err, errno, "cannot open the volume '%s'%s%s%s", model->root,
                         *model->claim ? " (claim '" : "", model->claim, *model->claim ? "')" : "");
    l->parent_fd = dir_open_beneath(l->root_fd, l->above, O_RDONLY | O_DIRECTORY, 0);
    if (l->parent_fd < 0 && errno == EXDEV)
        return err_set(err, ERR_MISSING, "'%s' leads out of the volume by a link", l->shown);
    if (l->parent_fd < 0 && errno != ENOENT && errno != ENOTDIR)
        return err_errno(err, errno, "cannot open the directory above '%s'", l->shown);
    return 0;
}

int layout_prepare(struct layout *l, struct err *err)
{
    if (l->parent_fd < 0) {
        if (dir_make(l->root_fd, l->above, err))
            return -1;
        l->parent_fd = dir_open_beneath(l->root_fd, l->above, O_RDONLY | O_DIRECTORY, 0);
        if (l->parent_fd < 0)
            return err_errno(err, errno, "cannot open the directory above '%s'", l->shown);
    }
    if (dir_make(l->parent_fd, LAYOUT_STATE, err))
        return -1;
    if (faccessat(l->parent_fd, LAYOUT_STATE, W_OK | X_OK, AT_EACCESS))
        return err_errno(err, errno, "cannot write in '%s' beside '%s'", LAYOUT_STATE, l->shown);
    return 0;
}

int layout_open_model(const struct layout *l, int *fd, struct err *err)
{
    if (l->parent_fd < 0)
        return 0;
    int opened = l->is_root
                     ? openat(l->parent_fd, ".", O_RDONLY | O_CLOEXEC)
                     : dir_open_beneath(l->root_fd, l->model->path, O_RDONLY | O_NONBLOCK, 0);
    if (opened >= 0) {
        *fd = opened;
        return 1;
    }
    if (errno == ENOENT || errno == ENOTDIR)
        return 0;
    if (errno == EXDEV)
        return err_set(err, ERR_MISSING, "'%s' leads out of the volume by a link", l->shown);
    return err_errno(err, errno, "cannot open '%s'", l->shown);
}

int layout_missing(const struct layout *l, struct err *err)
{
    autofree char *path = xstrdup(l->is_root ? "" : l->model->path);
    autoclose int fd = -1;

    for (;;) {
        char *slash = strrchr(path, '/');
        if (slash)
            *slash = '\0';
        else
            path[0] = '\0';
        fd = dir_open_beneath(l->root_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);
        if (fd >= 0 || !*path)
            break;
    }
    autofree char *there = fd >= 0 ? dir_describe(fd) : xstrdup("nothing");
    const char *claim = l->model->claim;
    return err_set(err, ERR_MISSING,
                   "there is no '%s' %s%s%s; '%s%s%s' holds %s: correct the path, or give a source "
                   "to download from",
                   l->model->path, *claim ? "in claim '" : "in '", *claim ? claim : l->model->root,
                   "'", *claim ? "" : l->model->root,
                   *path    ? "/"
                   : *claim ? "/"
                            : "",
                   path, there);
}

int layout_explain_permission(const struct layout *l, struct err *err)
{
    struct stat st;
    int fd = l->parent_fd >= 0 ? l->parent_fd : l->root_fd;

    if (err->kind != ERR_PERMISSION || !err->os_errno)
        return -1;
    struct err cause = *err;
    if (cause.os_errno == EROFS || fd < 0 || fstat(fd, &st))
        return err_set(err, ERR_PERMISSION,
                       "%.600s: the volume is read-only; mount it read-write, or put the model "
                       "there by other means and leave the source out",
                       cause.msg);
    (void)err_set(err, ERR_PERMISSION,
                  "%.600s: this process is uid %u gid %u, the directory belongs to uid %u gid %u, "
                  "mode %04o; set annotation modelberth.io/run-as-user: \"%u\", or "
                  "modelberth.io/fs-group where the volume supports it",
                  cause.msg, (unsigned)geteuid(), (unsigned)getegid(), (unsigned)st.st_uid,
                  (unsigned)st.st_gid, (unsigned)(st.st_mode & 07777), (unsigned)st.st_uid);
    err->os_errno = cause.os_errno;
    return -1;
}

void layout_release(struct layout *l)
{
    free(l->shown);
    free(l->above);
    free(l->name);
    if (l->root_fd >= 0)
        (void)close(l->root_fd);
    if (l->parent_fd >= 0)
        (void)close(l->parent_fd);
}
