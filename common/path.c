/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <string.h>
#include <strings.h>

static int check_segments(const char *what, const char *path, const char *shown, struct err *err)
{
    for (const char *at = path;;) {
        size_t n = strcspn(at, "/");
        if (n == 0)
            return err_set(err, ERR_INPUT, "%s '%.200s' has an empty segment", what, shown);
        if (n > PATH_SEGMENT_MAX_BYTES)
            return err_set(err, ERR_INPUT, "%s '%.200s' has a segment longer than %d bytes", what,
                           shown, PATH_SEGMENT_MAX_BYTES);
        if ((n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
            return err_set(err, ERR_INPUT, "%s '%.200s' has a '%.*s' segment", what, shown, (int)n,
                           at);
        if (!at[n])
            return 0;
        at += n + 1;
    }
}

static int check_characters(const char *what, const char *path, struct err *err)
{
    if (strlen(path) > PATH_TEXT_MAX_BYTES)
        return err_set(err, ERR_INPUT, "%s is longer than %d bytes", what, PATH_TEXT_MAX_BYTES);
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\\')
            return err_set(err, ERR_INPUT, "%s has a control character or backslash at byte %zu",
                           what, (size_t)(c - path));
    return 0;
}

int path_check_relative(const char *what, const char *path, struct err *err)
{
    if (check_characters(what, path, err))
        return -1;
    if (path[0] == '/')
        return err_set(err, ERR_INPUT, "%s '%.200s' must be relative", what, path);
    return check_segments(what, path, path, err);
}

int path_check_model_file(const char *path, struct err *err)
{
    static const char *const reserved[] = {".modelberth", ".download-complete"};

    if (path_check_relative("file name", path, err))
        return -1;
    size_t n = strcspn(path, "/");
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strlen(reserved[i]) == n && !strncasecmp(path, reserved[i], n))
            return err_set(err, ERR_INPUT, "file name '%.200s' is reserved for modelberth", path);
    return 0;
}

int path_check_model_directory(const char *what, const char *path, struct err *err)
{
    static const char state[] = ".modelberth";

    if (path_check_relative(what, path, err))
        return -1;
    for (const char *at = path;; at++) {
        size_t n = strcspn(at, "/");
        if (n == strlen(state) && !strncmp(at, state, n))
            return err_set(err, ERR_INPUT, "%s '%.200s': the name '%s' is reserved for modelberth",
                           what, path, state);
        at += n;
        if (!*at)
            return 0;
    }
}

int path_check_absolute(const char *what, const char *path, struct err *err)
{
    if (check_characters(what, path, err))
        return -1;
    if (path[0] != '/')
        return err_set(err, ERR_INPUT, "%s '%.200s' must be absolute", what, path);
    if (!path[1])
        return err_set(err, ERR_INPUT, "%s must not be '/'", what);
    return check_segments(what, path + 1, path, err);
}
