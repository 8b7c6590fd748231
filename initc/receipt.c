/* SPDX-License-Identifier: Apache-2.0 */
#include "receipt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/xalloc.h"
#include "dir.h"
#include "layout.h"

#define WHERE "receipt"

static const struct {
    const char *key;
    size_t offset;
} strings[] = {
    {"source", offsetof(struct receipt, source)},
    {"version", offsetof(struct receipt, version)},
    {"revision", offsetof(struct receipt, revision)},
    {"how", offsetof(struct receipt, how)},
    {"tool", offsetof(struct receipt, tool)},
    {"time", offsetof(struct receipt, time)},
};

#define STRINGS (sizeof strings / sizeof *strings)

static char **member(struct receipt *r, size_t i)
{
    return (char **)((char *)r + strings[i].offset);
}

static int parse_file(struct manifest *m, json_t *item, size_t i, struct err *err)
{
    autofree char *where = xasprintf(WHERE ".files[%zu]", i);
    const char *path = NULL, *digest = NULL;
    int64_t size = -1, mtime = 0;
    bool unverified = false;
    struct digest d = {0};

    if (!json_is_object(item))
        return err_set(err, ERR_INPUT, "%s: an object expected", where);
    if (json_string_get(item, where, "path", &path, err) < 0 ||
        json_string_get(item, where, "digest", &digest, err) < 0 ||
        json_int_get(item, where, "size", 0, INT64_MAX, &size, err) < 0 ||
        json_int_get(item, where, "mtime", INT64_MIN, INT64_MAX, &mtime, err) < 0 ||
        json_bool_get(item, where, "unverified", &unverified, err) < 0)
        return -1;
    if (!path || !digest || size < 0)
        return err_set(err, ERR_INPUT, "%s: path, size and digest expected", where);
    if (digest_parse(digest, &d, err) || manifest_add(m, path, NULL, (uint64_t)size, &d, err))
        return -1;
    m->files[m->n - 1].mtime_s = mtime;
    m->files[m->n - 1].unverified = unverified;
    return 0;
}

static int parse_list(json_t *root, const char *key, struct strlist *out, struct err *err)
{
    json_t *list = NULL, *item;
    size_t i;

    if (json_array_get_borrow(root, WHERE, key, &list, err) < 0)
        return -1;
    json_array_foreach(list, i, item)
        strlist_add(out, json_is_string(item) ? json_string_value(item) : "");
    return 0;
}

static int parse(const char *text, size_t len, struct receipt *r, struct err *err)
{
    const struct json_limits limits = {.depth = 6, .memory_bytes = 16 * len + 65536};
    json_auto_t *root = NULL;
    json_t *files = NULL, *item;
    int64_t v = 0;
    size_t i;

    if (json_parse(text, len, &limits, &root, err) ||
        json_int_get(root, WHERE, "v", 1, INT32_MAX, &v, err) < 0)
        return -1;
    if (v != 1)
        return err_set(err, ERR_INPUT, "it has version %lld, this program reads 1", (long long)v);
    for (i = 0; i < STRINGS; i++) {
        const char *value = NULL;
        if (json_string_get(root, WHERE, strings[i].key, &value, err) < 0)
            return -1;
        *member(r, i) = xstrdup(value ? value : "");
    }
    if (parse_list(root, "include", &r->include, err) ||
        parse_list(root, "exclude", &r->exclude, err) ||
        json_array_get_borrow(root, WHERE, "files", &files, err) < 0)
        return -1;
    json_array_foreach(files, i, item)
        if (parse_file(&r->files, item, i, err))
            return -1;
    return manifest_finish(&r->files, err);
}

int receipt_load(int dirfd, struct receipt *out, struct err *err)
{
    receipt_auto struct receipt r = {0};
    autofree char *text = NULL;
    size_t len = 0;
    autoclose int fd = dir_open_beneath(dirfd, LAYOUT_RECEIPT, O_RDONLY, 0);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0)
        return err_errno(err, errno, "cannot open '%s'", LAYOUT_RECEIPT);
    if (file_read_fd(fd, LAYOUT_RECEIPT, RECEIPT_MAX_BYTES, &text, &len, err))
        return -1;
    if (parse(text, len, &r, err)) {
        err->kind = ERR_MISSING;
        return err_wrap(err, "'%s' cannot be understood", LAYOUT_RECEIPT);
    }
    *out = r;
    memset(&r, 0, sizeof r);
    return 1;
}

static bool same_list(const struct strlist *a, const struct strlist *b)
{
    bool same = a->n == b->n;

    for (size_t i = 0; same && i < a->n; i++)
        same = !strcmp(a->v[i], b->v[i]);
    return same;
}

static char *list_text(const struct strlist *list)
{
    char *text = xstrdup(list->n ? "" : "none");

    for (size_t i = 0; i < list->n && strlen(text) < 100; i++) {
        char *longer = xasprintf("%s%s%s", text, i ? "," : "", list->v[i]);
        free(text);
        text = longer;
    }
    return text;
}

int receipt_check(const struct receipt *r, const struct identity *asked, struct err *err)
{
    bool same_version = !strcmp(r->version, asked->version) ||
                        (*r->revision && !strcmp(r->revision, asked->version));

    if (strcmp(r->source, asked->source) || !same_version) {
        autofree char *here = identity_text(r->source, r->version);
        autofree char *wanted = identity_text(asked->source, asked->version);
        return err_set(err, ERR_INTEGRITY,
                       "the directory holds '%.250s'%s%.64s%s, asked is '%.250s'; it is left "
                       "untouched: use another path for another version",
                       here, *r->revision ? " (revision " : "", r->revision,
                       *r->revision ? ")" : "", wanted);
    }
    if (!same_list(&r->include, &asked->include) || !same_list(&r->exclude, &asked->exclude)) {
        autofree char *in = list_text(&r->include), *in2 = list_text(&asked->include);
        autofree char *ex = list_text(&r->exclude), *ex2 = list_text(&asked->exclude);
        return err_set(err, ERR_INTEGRITY,
                       "the directory was filled with include %.120s, exclude %.120s; asked is "
                       "include %.120s, exclude %.120s; it is left untouched: use another path",
                       in, ex, in2, ex2);
    }
    return 0;
}

static json_t *list_json(const struct strlist *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(array, json_string_lossy(list->v[i]));
    return array;
}

static json_t *file_json(const struct manifest_file *f)
{
    char digest[DIGEST_TEXT_BYTES];
    json_t *object = json_pack("{s:o, s:I, s:s, s:I}", "path", json_string_lossy(f->path), "size",
                               (json_int_t)f->size, "digest", digest_format(&f->digest, digest),
                               "mtime", (json_int_t)f->mtime_s);

    if (f->unverified)
        json_object_set_new(object, "unverified", json_true());
    return object;
}

char *receipt_format(const struct receipt *r)
{
    json_auto_t *root = json_pack("{s:i}", "v", 1);
    json_t *files = json_array();

    for (size_t i = 0; i < STRINGS; i++) {
        const char *value = *member((struct receipt *)r, i);
        json_object_set_new(root, strings[i].key, json_string_lossy(value ? value : ""));
    }
    json_object_set_new(root, "include", list_json(&r->include));
    json_object_set_new(root, "exclude", list_json(&r->exclude));
    json_object_set_new(root, "bytes", json_integer((json_int_t)r->files.bytes));
    for (size_t i = 0; i < r->files.n; i++)
        json_array_append_new(files, file_json(&r->files.files[i]));
    json_object_set_new(root, "files", files);
    autofree char *text = json_dumps(root, JSON_INDENT(1));
    return xasprintf("%s\n", text ? text : "{}");
}

int receipt_store(int dirfd, const struct receipt *r, struct err *err)
{
    autofree char *text = receipt_format(r);

    if (mkdirat(dirfd, LAYOUT_STATE, 0755) && errno != EEXIST)
        return err_errno(err, errno, "cannot make the directory '%s'", LAYOUT_STATE);
    autoclose int state = openat(dirfd, LAYOUT_STATE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state < 0)
        return err_errno(err, errno, "cannot open '%s'", LAYOUT_STATE);
    if (file_replace(dirfd, LAYOUT_MARKER, "", 0, 0644, err) ||
        file_replace(state, strrchr(LAYOUT_RECEIPT, '/') + 1, text, strlen(text), 0644, err))
        return -1;
    return dir_sync(dirfd, ".", err);
}

size_t receipt_unverified(const struct receipt *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->files.n; i++)
        n += r->files.files[i].unverified;
    return n;
}

void receipt_release(struct receipt *r)
{
    for (size_t i = 0; i < STRINGS; i++)
        free(*member(r, i));
    strlist_release(&r->include);
    strlist_release(&r->exclude);
    manifest_release(&r->files);
    memset(r, 0, sizeof *r);
}
