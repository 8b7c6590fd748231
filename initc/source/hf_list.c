/* SPDX-License-Identifier: Apache-2.0 */
#include "hf_list.h"

#include <ctype.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "initc/retry.h"

#define WHERE "the Hub's answer"
#define URL_MAX_BYTES (16 * 1024)

static const struct json_limits limits = {.depth = 32, .memory_bytes = 64 * 1024 * 1024};

static int not_understood(struct err *err)
{
    err->kind = ERR_SOURCE;
    return err_wrap(err, "the Hub's answer cannot be understood (is HF_ENDPOINT right?)");
}

/* What `path` is called below `inside`; NULL when it is not there. Borrowed from `path`. */
static const char *name_inside(const char *path, const char *inside)
{
    size_t n = strlen(inside);
    const char *slash = strrchr(path, '/');

    if (!n)
        return path;
    if (!strcmp(path, inside))
        return slash ? slash + 1 : path;
    return !strncmp(path, inside, n) && path[n] == '/' ? path + n + 1 : NULL;
}

static int add_file(json_t *item, const char *path, const char *name, struct manifest *out,
                    struct err *err)
{
    const char *oid = NULL;
    json_t *lfs = NULL;
    int64_t size = -1;
    struct digest digest = {0};

    int has_lfs = json_object_get_borrow(item, WHERE, "lfs", &lfs, err);
    if (has_lfs < 0)
        return -1;
    json_t *from = has_lfs ? lfs : item;
    if (json_string_get(from, WHERE, "oid", &oid, err) < 0 ||
        json_int_get(from, WHERE, "size", 0, INT64_MAX, &size, err) < 0)
        return -1;
    if (!oid || size < 0)
        return err_set(err, ERR_INPUT, "'%.200s' has no size or digest", path);
    if (digest_parse_hex(has_lfs ? DIGEST_SHA256 : DIGEST_GITSHA1, oid, &digest, err))
        return -1;
    return manifest_add(out, name, path, (uint64_t)size, &digest, err);
}

int hf_list_parse(const char *text, size_t len, const char *inside, struct manifest *out,
                  struct err *err)
{
    json_auto_t *page = NULL;
    size_t i;
    json_t *item;

    if (json_parse(text, len, &limits, &page, err))
        return not_understood(err);
    if (!json_is_array(page)) {
        (void)err_set(err, ERR_SOURCE, "a list of files expected");
        return not_understood(err);
    }
    json_array_foreach(page, i, item) {
        const char *type = NULL, *path = NULL;
        if (!json_is_object(item) || json_string_get(item, WHERE, "type", &type, err) != 1 ||
            json_string_get(item, WHERE, "path", &path, err) != 1) {
            (void)err_set(err, ERR_SOURCE, "entry %zu has no type or path", i);
            return not_understood(err);
        }
        const char *name = name_inside(path, inside);
        if (!name || strcmp(type, "file") != 0)
            continue;
        if (add_file(item, path, name, out, err))
            return err->kind == ERR_SOURCE ? -1 : not_understood(err);
    }
    return 0;
}

char *hf_list_next(const char *link)
{
    for (const char *at = link; (at = strchr(at, '<'));) {
        const char *end = strchr(++at, '>');
        if (!end)
            return NULL;
        size_t parameters = strcspn(end, ",");
        autofree char *tail = xstrndup(end, parameters);
        if (strstr(tail, "rel=\"next\"") || strstr(tail, "rel=next"))
            return xstrndup(at, (size_t)(end - at));
        at = end;
    }
    return NULL;
}

int hf_parse_sha(const char *text, size_t len, char **out, struct err *err)
{
    json_auto_t *info = NULL;
    const char *sha = NULL;
    struct digest check;

    if (json_parse(text, len, &limits, &info, err))
        return not_understood(err);
    if (json_string_get(info, WHERE, "sha", &sha, err) != 1 ||
        digest_parse_hex(DIGEST_GITSHA1, sha, &check, err)) {
        (void)err_set(err, ERR_SOURCE, "it names no commit");
        return not_understood(err);
    }
    *out = xstrdup(sha);
    return 0;
}

static int explain_missing_repo(const struct source *s, struct err *err)
{
    if (!s->token)
        return err_set(err, ERR_SOURCE,
                       "%s has no repository '%.200s' that is readable without a token; if it is "
                       "private, give a token: %.200s holds none",
                       s->endpoint, s->id->uri.name, s->token_where);
    return err_set(err, ERR_SOURCE,
                   "%s has no repository '%.200s', or the token of %.200s may not read it",
                   s->endpoint, s->id->uri.name, s->token_where);
}

static int explain_gated(const struct source *s, struct err *err)
{
    const char *kind = s->id->uri.dataset ? "datasets/" : "";

    if (!s->token)
        return err_set(err, ERR_SOURCE,
                       "repository '%.200s' is gated: accept its terms at %s/%s%.200s and give the "
                       "token of that account; %.200s holds none",
                       s->id->uri.name, s->endpoint, kind, s->id->uri.name, s->token_where);
    return err_set(err, ERR_SOURCE,
                   "repository '%.200s' is gated and the account of the token in %.200s has no "
                   "access: ask for it at %s/%s%.200s",
                   s->id->uri.name, s->token_where, s->endpoint, kind, s->id->uri.name);
}

int hf_explain(const struct source *s, const struct http_response *response, struct err *err)
{
    const char *code = response->error_code, *message = response->error_message;
    const char *revision = *s->id->version ? s->id->version : "the default branch";

    if (retry_is_transient(response->status))
        return err_set(err, ERR_RETRY, "%s answers %ld%s", s->endpoint, response->status,
                       response->status == 429 ? ": too many requests" : "");
    if (strstr(message, "Invalid credentials"))
        return err_set(err, ERR_SOURCE, "%s refuses the token of %.200s: it is wrong or expired",
                       s->endpoint, s->token_where);
    if (!strcmp(code, "GatedRepo"))
        return explain_gated(s, err);
    if (!strcmp(code, "RevisionNotFound"))
        return err_set(err, ERR_SOURCE, "repository '%.200s' has no revision '%.200s'",
                       s->id->uri.name, revision);
    if (!strcmp(code, "EntryNotFound"))
        return err_set(err, ERR_SOURCE, "repository '%.200s' lost a file of revision '%.200s'",
                       s->id->uri.name, revision);
    if (!strcmp(code, "RepoNotFound") || (response->status == 401 && !*code))
        return explain_missing_repo(s, err);
    if (*message)
        return err_set(err, ERR_SOURCE, "%s answers %ld for '%.200s': %.300s", s->endpoint,
                       response->status, s->id->uri.name, message);
    return err_set(err, ERR_SOURCE, "%s answers %ld for '%.200s' (is HF_ENDPOINT a Hub?)",
                   s->endpoint, response->status, s->id->uri.name);
}

char *hf_quote(const char *text, bool keep_slash)
{
    strbuf_auto struct strbuf b = STRBUF_INIT(URL_MAX_BYTES);

    for (const char *c = text; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr("-_.~", *c) || (*c == '/' && keep_slash))
            strbuf_add(&b, c, 1);
        else
            strbuf_addf(&b, "%%%02X", (unsigned char)*c);
    }
    return b.len ? strbuf_take(&b) : xstrdup("");
}
