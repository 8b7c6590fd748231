/* SPDX-License-Identifier: Apache-2.0 */
#include "place.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/path.h"
#include "common/xalloc.h"

/* Without trailing and doubled slashes. */
static char *tidy(const char *dir)
{
    char *out = xmalloc(strlen(dir) + 1);
    size_t n = 0;

    for (const char *c = dir; *c; c++)
        if (*c != '/' || !n || out[n - 1] != '/')
            out[n++] = *c;
    if (n > 1 && out[n - 1] == '/')
        n--;
    out[n] = '\0';
    return out;
}

static bool is_mount_point(const char *dir)
{
    struct stat here, above;
    autofree char *parent = xasprintf("%s/..", dir);

    return !stat(dir, &here) && !stat(parent, &above) && here.st_dev != above.st_dev;
}

/* The parent directory's text; "." where there is none. */
static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

int place_model(struct plan_model *model, const char *dir, struct err *err)
{
    autofree char *wanted = tidy(dir);
    autofree char *path = xstrdup("");
    autofree char *at = xstrdup(wanted);
    char real[PATH_MAX];

    if (!*wanted || !strcmp(wanted, "/"))
        return err_set(err, ERR_INPUT, "a directory other than '/' expected");
    if (realpath(wanted, real)) {
        if (is_mount_point(real)) {
            plan_set(&model->root, real);
            return 0;
        }
        free(at);
        at = xstrdup(real); /* "." and links too are somewhere */
    }
    for (int depth = 0; depth < PATH_MAX; depth++) {
        const char *slash = strrchr(at, '/');
        autofree char *longer = xasprintf("%s%s%s", slash ? slash + 1 : at, *path ? "/" : "", path);
        autofree char *parent = parent_of(at);
        free(path);
        path = take(longer);
        free(at);
        at = take(parent);
        if (realpath(at, real) || errno != ENOENT)
            break;
    }
    if (!realpath(at, real))
        return err_errno(err, errno, "cannot open '%s'", at);
    if (path_check_model_directory("directory", path, err))
        return -1;
    plan_set(&model->root, real);
    plan_set(&model->path, path);
    return 0;
}
