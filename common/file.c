/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "xalloc.h"

int file_read_fd(int fd, const char *name, size_t max_bytes, char **out, size_t *len,
                 struct err *err)
{
    autofree char *text = NULL;
    size_t used = 0;
    size_t alloc = 4096;

    text = xmalloc(alloc);
    for (;;) {
        if (alloc - used < 2) {
            alloc *= 2;
            text = xreallocarray(text, alloc, 1);
        }
        ssize_t n = read(fd, text + used, alloc - used - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot read '%s'", name);
        if (n == 0)
            break;
        used += (size_t)n;
        if (used > max_bytes)
            return err_set(err, ERR_INPUT, "'%s' is larger than %zu bytes", name, max_bytes);
    }
    text[used] = '\0';
    if (len)
        *len = used;
    *out = take(text);
    return 0;
}

int file_read(int dirfd, const char *path, size_t max_bytes, char **out, size_t *len,
              struct err *err)
{
    autoclose int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, errno, "cannot open '%s'", path);
    return file_read_fd(fd, path, max_bytes, out, len, err);
}

int file_write_all(int fd, const char *name, const void *bytes, size_t len, struct err *err)
{
    const char *p = bytes;

    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot write '%s'", name);
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int file_replace(int dirfd, const char *name, const void *bytes, size_t len, unsigned mode,
                 struct err *err)
{
    autofree char *temp = xasprintf("%s.%ld.tmp", name, (long)getpid());
    autoclose int fd =
        openat(dirfd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0)
        return err_errno(err, errno, "cannot create '%s'", temp);
    int rc = file_write_all(fd, temp, bytes, len, err);
    if (!rc && fsync(fd))
        rc = err_errno(err, errno, "cannot sync '%s'", temp);
    /* close() can be the first to report a failed write on NFS */
    if (close(take_fd(fd)) && !rc)
        rc = err_errno(err, errno, "cannot close '%s'", temp);
    if (!rc && renameat(dirfd, temp, dirfd, name))
        rc = err_errno(err, errno, "cannot rename '%s' to '%s'", temp, name);
    if (rc) {
        (void)unlinkat(dirfd, temp, 0);
        return rc;
    }
    autoclose int dir = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fsync(dir))
        return err_errno(err, errno, "cannot sync the directory of '%s'", name);
    return 0;
}

int file_replace_path(const char *path, const void *bytes, size_t len, unsigned mode,
                      struct err *err)
{
    autofree char *for_directory = xstrdup(path); /* dirname() and basename() write to theirs */
    autofree char *for_name = xstrdup(path);
    const char *directory = dirname(for_directory);
    autoclose int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, errno, "cannot open directory '%s'", directory);
    return file_replace(fd, basename(for_name), bytes, len, mode, err);
}
