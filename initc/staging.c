/* SPDX-License-Identifier: Apache-2.0 */
#include "staging.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "dir.h"

#define TAKEN_MAX 1000

/* Renames what others left, so that they and their like cannot use it any more. */
static void take_over(struct staging *s)
{
    struct strlist names = {0};
    int fd = openat(s->key_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    while (dir && names.n < TAKEN_MAX && (e = readdir(dir)))
        if (e->d_name[0] != '.' && strcmp(e->d_name, s->nonce) != 0)
            strlist_add(&names, e->d_name);
    if (dir)
        (void)closedir(dir);
    for (size_t i = 0; i < names.n; i++) {
        autofree char *mine = xasprintf("%s.%zu", s->nonce, i);
        if (!renameat(s->key_fd, names.v[i], s->key_fd, mine))
            strlist_add(&s->taken, mine);
    }
    strlist_release(&names);
}

/*
 * Publishing is the rename of a directory into another one: better to know before hundreds of
 * gigabytes that a volume (some object stores behind FUSE) cannot do it.
 */
static int probe_rename(struct staging *s, struct err *err)
{
    autofree char *to = xasprintf("%s.probe", s->nonce);

    if (dir_make(s->fd, "probe", err))
        return -1;
    if (renameat(s->fd, "probe", s->state_fd, to)) {
        (void)err_errno(err, errno,
                        "this volume cannot rename a directory, so nothing can be "
                        "published on it in one step; use another storage class");
        err->kind = ERR_PERMISSION;
        err->os_errno = 0;
        return -1;
    }
    (void)unlinkat(s->state_fd, to, AT_REMOVEDIR);
    return 0;
}

int staging_open(struct staging *s, int state_fd, const char *key, const char *nonce,
                 const char *revision, struct err *err)
{
    s->state_fd = state_fd;
    s->key = xstrdup(key);
    s->nonce = xstrdup(nonce);
    s->revision = xstrdup(revision);
    if (dir_make(state_fd, key, err))
        return -1;
    s->key_fd = openat(state_fd, key, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (s->key_fd < 0)
        return err_errno(err, errno, "cannot open the staging directory");
    autofree char *tree = xasprintf("%s/" STAGING_TREE, nonce);
    autofree char *parts = xasprintf("%s/parts", nonce);
    if (dir_make(s->key_fd, tree, err) || dir_make(s->key_fd, parts, err))
        return -1;
    s->fd = openat(s->key_fd, nonce, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (s->fd < 0)
        return err_errno(err, errno, "cannot open the staging directory");
    if (probe_rename(s, err))
        return -1;
    take_over(s);
    return 0;
}

char *staging_part_name(const struct staging *s, const struct manifest_file *file)
{
    char digest[DIGEST_TEXT_BYTES], hex[DIGEST_TEXT_BYTES];
    struct digest d;
    autofree char *text =
        xasprintf("%s\n%llu\n%s\n%s", file->path, (unsigned long long)file->size,
                  digest_format(&file->digest, digest), file->digest.algo ? "" : s->revision);

    digest_bytes(DIGEST_SHA256, text, strlen(text), &d);
    (void)digest_format(&d, hex);
    return xasprintf("parts/%.32s", hex + strlen("sha256:"));
}

int staging_find(const struct staging *s, const struct manifest_file *file, bool complete,
                 char **out)
{
    /* nothing says that an unpinned file is the one of today */
    if (!file->digest.algo && (complete || !*s->revision))
        return -1;
    autofree char *part =
        complete ? xasprintf(STAGING_TREE "/%s", file->path) : staging_part_name(s, file);
    for (size_t i = 0; i < s->taken.n; i++) {
        autofree char *path = xasprintf("%s/%s", s->taken.v[i], part);
        struct stat st;
        autoclose int fd = dir_open_beneath(s->key_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
        if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > file->size ||
            (complete && (uint64_t)st.st_size != file->size))
            continue;
        *out = take(path);
        return take_fd(fd);
    }
    return -1;
}

uint64_t staging_found_bytes(const struct staging *s, const struct manifest *manifest)
{
    uint64_t bytes = 0;

    for (size_t i = 0; s->taken.n && i < manifest->n; i++) {
        autofree char *path = NULL;
        autoclose int fd = staging_find(s, &manifest->files[i], true, &path);
        bytes += fd >= 0 ? manifest->files[i].size : 0;
    }
    return bytes;
}

void staging_remove(struct staging *s)
{
    if (s->key_fd < 0)
        return;
    for (size_t i = 0; i < s->taken.n; i++)
        dir_remove(s->key_fd, s->taken.v[i]);
    dir_remove(s->key_fd, s->nonce);
    (void)unlinkat(s->state_fd, s->key, AT_REMOVEDIR);
}

void staging_release(struct staging *s)
{
    free(s->key);
    free(s->nonce);
    free(s->revision);
    strlist_release(&s->taken);
    if (s->fd >= 0)
        (void)close(s->fd);
    if (s->key_fd >= 0)
        (void)close(s->key_fd);
    s->fd = s->key_fd = -1;
}
