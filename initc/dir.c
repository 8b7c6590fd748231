/* SPDX-License-Identifier: Apache-2.0 */
#include "dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/strbuf.h"
#include "common/strlist.h"
#include "common/xalloc.h"

#define SHOWN_NAMES 20
#define SHOWN_BYTES 1500

int dir_open_beneath(int at_fd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)flags | O_CLOEXEC,
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, at_fd, path, &how, sizeof how);

    if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
        return (int)fd;
    /* sandboxes without openat2: the paths are checked text, links are then trusted */
    return openat(at_fd, path, flags | O_CLOEXEC, mode);
}

static int make_one(int at_fd, const char *path, bool like_parent, struct err *err)
{
    struct stat parent = {.st_mode = 0755};

    if (!mkdirat(at_fd, path, 0755)) {
        autofree char *above = xstrdup(path);
        char *slash = strrchr(above, '/');
        if (slash)
            *slash = '\0';
        if (like_parent && fstatat(at_fd, slash ? above : ".", &parent, 0))
            parent.st_mode = 0755;
        /* where modes cannot be set, as on CIFS, they are not what protects either */
        (void)!fchmodat(at_fd, path, like_parent ? parent.st_mode & 07777 : 0755, 0);
        return 0;
    }
    if (errno == EEXIST)
        return 0;
    return err_errno(err, errno, "cannot make the directory '%s'", path);
}

static int make_each(int at_fd, const char *path, size_t len, bool like_parent, struct err *err)
{
    autofree char *copy = xstrndup(path, len);

    for (char *slash = copy; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (make_one(at_fd, copy, like_parent, err))
            return -1;
        *slash = '/';
    }
    return make_one(at_fd, copy, like_parent, err);
}

int dir_make(int at_fd, const char *path, struct err *err)
{
    return make_each(at_fd, path, strlen(path), true, err);
}

int dir_make_parents(int at_fd, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');

    return slash ? make_each(at_fd, path, (size_t)(slash - path), false, err) : 0;
}

int dir_sync(int at_fd, const char *path, struct err *err)
{
    autoclose int fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, errno, "cannot open the directory '%s'", path);
    /* some network file systems cannot sync a directory and say EINVAL */
    if (fsync(fd) && errno != EINVAL)
        return err_errno(err, errno, "cannot sync the directory '%s'", path);
    return 0;
}

static DIR *open_dir(int at_fd, const char *path, int flags)
{
    int fd = openat(at_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !dir)
        (void)close(fd);
    return dir;
}

static void remove_below(int at_fd, const char *path, int depth)
{
    DIR *dir = depth < DIR_MAX_DEPTH ? open_dir(at_fd, path, O_NOFOLLOW) : NULL;
    struct dirent *e;

    if (!dir) {
        (void)unlinkat(at_fd, path, 0);
        return;
    }
    while ((e = readdir(dir))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (unlinkat(dirfd(dir), e->d_name, 0))
            remove_below(dirfd(dir), e->d_name, depth + 1);
    }
    (void)closedir(dir);
    (void)unlinkat(at_fd, path, AT_REMOVEDIR);
}

void dir_remove(int at_fd, const char *path)
{
    remove_below(at_fd, path, 0);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, sorted, each followed by its type in the byte after its terminator. */
static void read_names(DIR *dir, struct strlist *names, size_t max)
{
    struct dirent *e;

    while (names->n < max && (e = readdir(dir))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        strlist_add(names, e->d_name);
    }
    if (names->n)
        qsort(names->v, names->n, sizeof *names->v, by_name);
}

static unsigned char type_of(int at_fd, const char *name)
{
    struct stat st;

    if (fstatat(at_fd, name, &st, AT_SYMLINK_NOFOLLOW))
        return DT_UNKNOWN;
    return (unsigned char)IFTODT(st.st_mode);
}

/* What file systems put into their root, often readable by nobody. */
static bool is_of_file_system(const char *name)
{
    static const char *const names[] = {"lost+found", ".snapshot", ".snapshots"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

static bool is_ours(const char *name)
{
    return !strcmp(name, ".modelberth") || is_of_file_system(name);
}

struct walk {
    dir_visit *visit;
    void *context;
    size_t entries;
};

static int walk_below(struct walk *w, int parent, const char *name, const char *prefix, int depth,
                      struct err *err)
{
    struct strlist names = {0};
    int rc = 0;

    if (depth > DIR_MAX_DEPTH)
        return err_set(err, ERR_MISSING, "'%s' is nested deeper than %d directories", prefix,
                       DIR_MAX_DEPTH);
    DIR *dir = open_dir(parent, name, depth ? O_NOFOLLOW : 0);
    if (!dir)
        return err_errno(err, errno, "cannot read the directory '%s'", *prefix ? prefix : ".");
    read_names(dir, &names, DIR_MAX_ENTRIES + 1);
    w->entries += names.n;
    if (w->entries > DIR_MAX_ENTRIES)
        rc = err_set(err, ERR_MISSING, "there are more than %d files", DIR_MAX_ENTRIES);
    for (size_t i = 0; !rc && i < names.n; i++) {
        if (!depth && is_of_file_system(names.v[i]))
            continue;
        autofree char *path = xasprintf("%s%s%s", prefix, *prefix ? "/" : "", names.v[i]);
        unsigned char type = type_of(dirfd(dir), names.v[i]);
        rc = w->visit(w->context, path, type, err);
        if (!rc && type == DT_DIR)
            rc = walk_below(w, dirfd(dir), names.v[i], path, depth + 1, err);
    }
    strlist_release(&names);
    (void)closedir(dir);
    return rc;
}

int dir_walk(int at_fd, dir_visit *visit, void *context, struct err *err)
{
    struct walk w = {.visit = visit, .context = context};

    return walk_below(&w, at_fd, ".", "", 0, err);
}

char *dir_describe(int at_fd)
{
    strbuf_auto struct strbuf text = STRBUF_INIT(SHOWN_BYTES);
    struct strlist names = {0};
    size_t shown = 0, others = 0;
    DIR *dir = open_dir(at_fd, ".", 0);

    if (!dir)
        return xstrdup("what cannot be read");
    read_names(dir, &names, DIR_MAX_ENTRIES);
    for (size_t i = 0; i < names.n; i++) {
        if (is_ours(names.v[i]))
            continue;
        if (shown == SHOWN_NAMES || text.len + strlen(names.v[i]) > 800) {
            others++;
            continue;
        }
        bool folder = type_of(dirfd(dir), names.v[i]) == DT_DIR;
        strbuf_addf(&text, "%s'%s%s'", shown++ ? ", " : "", names.v[i], folder ? "/" : "");
    }
    if (others)
        strbuf_addf(&text, " and %zu more", others);
    strlist_release(&names);
    (void)closedir(dir);
    return shown ? strbuf_take(&text) : xstrdup("nothing");
}

bool dir_is_empty(int at_fd)
{
    DIR *dir = open_dir(at_fd, ".", 0);
    struct dirent *e;
    bool empty = true;

    if (!dir)
        return false;
    while (empty && (e = readdir(dir)))
        empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || is_ours(e->d_name);
    (void)closedir(dir);
    return empty;
}
