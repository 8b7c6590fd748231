/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#include <ctype.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/path.h"
#include "common/xalloc.h"

int manifest_add(struct manifest *m, const char *path, const char *locator, uint64_t size,
                 const struct digest *digest, struct err *err)
{
    if (path_check_model_file(path, err)) {
        err->kind = ERR_SOURCE;
        return err_wrap(err, "the source has a name that is not accepted");
    }
    json_auto_t *text = json_string(path);
    if (!text)
        return err_set(err, ERR_SOURCE, "the source has a name that is not UTF-8");
    if (m->n >= MANIFEST_MAX_FILES)
        return err_set(err, ERR_SOURCE, "the source has more than %d files", MANIFEST_MAX_FILES);
    if (size > INT64_MAX || m->bytes + size > INT64_MAX)
        return err_set(err, ERR_SOURCE, "the source gives '%.200s' an impossible size", path);
    if (m->n == m->alloc) {
        m->alloc = m->alloc ? 2 * m->alloc : 64;
        m->files = xreallocarray(m->files, m->alloc, sizeof *m->files);
    }
    m->files[m->n++] = (struct manifest_file){
        .path = xstrdup(path),
        .locator = locator ? xstrdup(locator) : NULL,
        .size = size,
        .digest = *digest,
    };
    m->bytes += size;
    return 0;
}

static void release_file(struct manifest_file *f)
{
    free(f->path);
    free(f->locator);
}

void manifest_release(struct manifest *m)
{
    for (size_t i = 0; i < m->n; i++)
        release_file(&m->files[i]);
    free(m->files);
    memset(m, 0, sizeof *m);
}

static bool matches(const struct strlist *globs, const char *path)
{
    for (size_t i = 0; i < globs->n; i++) {
        const char *glob = globs->v[i];
        size_t len = strlen(glob);
        autofree char *folder = len && glob[len - 1] == '/' ? xasprintf("%s*", glob) : NULL;
        if (!fnmatch(folder ? folder : glob, path, 0))
            return true;
    }
    return false;
}

void manifest_filter(struct manifest *m, const struct strlist *include,
                     const struct strlist *exclude)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n; i++) {
        struct manifest_file *f = &m->files[i];
        if ((!include->n || matches(include, f->path)) && !matches(exclude, f->path)) {
            m->files[kept++] = *f;
        } else {
            m->bytes -= f->size;
            release_file(f);
        }
    }
    m->n = kept;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct manifest_file *)a)->path, ((const struct manifest_file *)b)->path);
}

/* Lower case, and '/' before every other character, so that a directory stands together. */
static int folded(char c)
{
    return c == '/' ? 1 : c ? tolower((unsigned char)c) + 1 : 0;
}

static int by_folded_path(const void *a, const void *b)
{
    const char *x = ((const struct manifest_file *)a)->path;
    const char *y = ((const struct manifest_file *)b)->path;

    while (*x && folded(*x) == folded(*y)) {
        x++;
        y++;
    }
    return folded(*x) - folded(*y);
}

/* `a` stands before `b` in folded order, and neither may get in the other's way. */
static int check_neighbours(const char *a, const char *b, struct err *err)
{
    size_t same = 0;
    bool differs = false;

    for (;; same++) {
        bool end_of_a = !a[same] && (!b[same] || b[same] == '/');
        bool end_of_folder = a[same] == '/' && b[same] == '/';
        if (end_of_a)
            return err_set(err, ERR_SOURCE,
                           "the source has '%.200s' and '%.200s', which cannot stand beside each "
                           "other on a volume",
                           a, b);
        if (end_of_folder && differs)
            return err_set(err, ERR_SOURCE,
                           "the source has '%.200s' and '%.200s', whose directories differ only in "
                           "case",
                           a, b);
        if (!a[same] || folded(a[same]) != folded(b[same]))
            return 0;
        differs = differs || a[same] != b[same];
    }
}

int manifest_finish(struct manifest *m, struct err *err)
{
    if (!m->n)
        return 0;
    qsort(m->files, m->n, sizeof *m->files, by_folded_path);
    for (size_t i = 1; i < m->n; i++)
        if (check_neighbours(m->files[i - 1].path, m->files[i].path, err))
            return -1;
    qsort(m->files, m->n, sizeof *m->files, by_path);
    return 0;
}
