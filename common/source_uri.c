/* SPDX-License-Identifier: Apache-2.0 */
#include "source_uri.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "path.h"
#include "xalloc.h"

#define COMMIT_HEX_DIGITS 40

static bool is_repo_name(const char *s, size_t n)
{
    if (n == 0 || n > 96 || s[0] == '.' || s[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("._-", s[i]))
            return false;
    return true;
}

/* Git forbids most of this in a ref name; '/' is legal in one (refs/pr/1). */
static bool is_revision(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > 255 || strstr(s, "..") || s[0] == '/' || s[n - 1] == '/')
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f || strchr("\\^~?*[:#@%", s[i]))
            return false;
    return true;
}

static int set_revision(struct source_uri *out, char *revision, const char *version,
                        struct err *err)
{
    if (!revision && version)
        revision = xstrdup(version);
    out->revision = revision;
    if (revision && !is_revision(revision))
        return err_set(err, ERR_INPUT, "'%.200s' is not a revision", revision);
    if (version && strcmp(revision, version))
        return err_set(
            err, ERR_INPUT,
            "the source asks for revision '%.200s' and the version is '%.200s': give one of them",
            revision, version);
    return 0;
}

/*
 * hf: after the repository's two names, '@' or ':' starts the revision. A revision ends at the
 * next '/', so a branch with '/' in its name is written with %2F or as version beside the source.
 */
static int parse_hf(const char *rest, const char *version, struct source_uri *out, struct err *err)
{
    static const char shape[] =
        "hf://org/name, hf://org/name@revision or hf://datasets/org/name expected";

    if (!strncmp(rest, "datasets/", 9)) {
        out->dataset = true;
        rest += 9;
    }
    size_t org = strcspn(rest, "/");
    if (!is_repo_name(rest, org) || rest[org] != '/')
        return err_set(err, ERR_INPUT, "%s", shape);
    const char *name = rest + org + 1;
    size_t n = strcspn(name, "/@:");
    if (!is_repo_name(name, n))
        return err_set(err, ERR_INPUT, "%s", shape);
    out->name = xstrndup(rest, org + 1 + n);

    const char *at = name + n;
    autofree char *revision = NULL;
    if (*at == '@' || *at == ':') {
        size_t len = strcspn(++at, "/");
        revision = xstrndup(at, len);
        for (char *p = revision; (p = strstr(p, "%2F"));) {
            *p++ = '/';
            memmove(p, p + 2, strlen(p + 2) + 1);
        }
        at += len;
    }
    if (set_revision(out, take(revision), version, err))
        return -1;
    if (*at == '/' && at[1]) {
        out->path = xstrdup(at + 1);
        return path_check_relative("path in the source", out->path, err);
    }
    out->path = xstrdup("");
    return 0;
}

static int set_sha256(struct source_uri *out, const char *text, struct err *err)
{
    struct digest d;

    if (strncmp(text, "sha256=", 7) && strncmp(text, "sha256:", 7))
        return err_set(err, ERR_INPUT,
                       "'%.200s' is not a pin of an https source: sha256=<hex> expected", text);
    if (digest_parse_hex(DIGEST_SHA256, text + 7, &d, err))
        return -1;
    if (out->digest.algo && !digest_equal(&out->digest, &d))
        return err_set(err, ERR_INPUT, "the source and the version give two different digests");
    out->digest = d;
    return 0;
}

static int parse_https(const char *text, const char *version, struct source_uri *out,
                       struct err *err)
{
    const char *host = text + strlen("https://");
    size_t host_len = strcspn(host, "/?#");

    if (host_len == 0 || memchr(host, '@', host_len))
        return err_set(err, ERR_INPUT,
                       "https://host/path expected, without user or password (credentials come "
                       "from a Secret)");
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return err_set(err, ERR_INPUT,
                           "a URL may not contain spaces, control or non-ASCII characters");
    out->name = xstrndup(text, strcspn(text, "#"));
    const char *fragment = strchr(text, '#');
    if (fragment && set_sha256(out, fragment + 1, err))
        return -1;
    if (version && set_sha256(out, version, err))
        return -1;

    const char *path = host + host_len;
    size_t path_len = strcspn(path, "?#");
    const char *file = path + path_len;
    while (file > path && file[-1] != '/')
        file--;
    out->path = xstrndup(file, (size_t)(path + path_len - file));
    if (!*out->path)
        return err_set(err, ERR_INPUT, "the URL names no file");
    return path_check_model_file(out->path, err);
}

static int parse_pvc(const char *rest, const char *version, struct source_uri *out, struct err *err)
{
    size_t n = strcspn(rest, "/");

    if (version)
        return err_set(err, ERR_INPUT, "a pvc:// source has no version");
    if (memchr(rest, ':', n))
        return err_set(err, ERR_INPUT,
                       "pvc://claim/path expected: a claim of another namespace cannot be mounted");
    bool ok = n > 0 && n <= 253;
    for (size_t i = 0; i < n; i++)
        ok = ok && (islower((unsigned char)rest[i]) || isdigit((unsigned char)rest[i]) ||
                    ((rest[i] == '-' || rest[i] == '.') && i > 0 && i + 1 < n));
    if (!ok)
        return err_set(err, ERR_INPUT, "pvc://claim/path expected");
    out->name = xstrndup(rest, n);
    out->path = xstrdup(rest[n] ? rest + n + 1 : "");
    return *out->path ? path_check_relative("path in the source", out->path, err) : 0;
}

static int parse(const char *text, const char *version, struct source_uri *out, struct err *err)
{
    if (strlen(text) > SOURCE_TEXT_MAX_BYTES)
        return err_set(err, ERR_INPUT, "source is longer than %d bytes", SOURCE_TEXT_MAX_BYTES);
    if (!strncmp(text, "hf://", 5)) {
        out->scheme = SOURCE_HF;
        return parse_hf(text + 5, version, out, err);
    }
    if (!strncmp(text, "https://", 8)) {
        out->scheme = SOURCE_HTTPS;
        return parse_https(text, version, out, err);
    }
    if (!strncmp(text, "pvc://", 6)) {
        out->scheme = SOURCE_PVC;
        return parse_pvc(text + 6, version, out, err);
    }
    const char *colon = strstr(text, "://");
    if (!colon)
        return err_set(err, ERR_INPUT, "no scheme: hf://, https:// or pvc:// expected");
    return err_set(err, ERR_INPUT,
                   "scheme '%.*s' is not supported: hf://, https:// or pvc:// expected",
                   (int)(colon - text > 32 ? 32 : colon - text), text);
}

int source_uri_parse(const char *text, const char *version, struct source_uri *out, struct err *err)
{
    source_uri_auto struct source_uri parsed = {0};

    if (version && !*version)
        version = NULL;
    if (parse(text, version, &parsed, err))
        return -1;
    *out = parsed;
    memset(&parsed, 0, sizeof parsed);
    return 0;
}

void source_uri_release(struct source_uri *source)
{
    free(source->name);
    free(source->path);
    free(source->revision);
    memset(source, 0, sizeof *source);
}

bool source_uri_is_immutable(const struct source_uri *source)
{
    if (source->scheme == SOURCE_HTTPS)
        return source->digest.algo != DIGEST_NONE;
    if (source->scheme != SOURCE_HF || !source->revision ||
        strlen(source->revision) != COMMIT_HEX_DIGITS)
        return false;
    for (const char *c = source->revision; *c; c++)
        if (!isxdigit((unsigned char)*c))
            return false;
    return true;
}
