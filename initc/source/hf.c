/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hf://: the Hugging Face Hub, or a mirror that speaks its API. The version is resolved to a commit
 * first; the tree of that commit gives size and digest of every file.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "credentials.h"
#include "hf_list.h"
#include "initc/retry.h"
#include "remote.h"
#include "source.h"

#define ENDPOINT "https://huggingface.co"
#define PAGE_MAX_BYTES (16 * 1024 * 1024)
#define PAGES_MAX 4000

/* The places of the Hub's own tools, after Secret and HF_TOKEN. */
static int read_token_files(struct source *s, struct err *err)
{
    const char *path = getenv("HF_TOKEN_PATH");
    const char *hf_home = getenv("HF_HOME");
    const char *home = getenv("HOME");
    autofree char *file = NULL;

    if (path && *path)
        file = xstrdup(path);
    else if (hf_home && *hf_home)
        file = xasprintf("%s/token", hf_home);
    else if (home && *home)
        file = xasprintf("%s/.cache/huggingface/token", home);
    if (!file)
        return 0;
    struct err problem;
    if (credentials_read_file(file, &s->token, &problem)) {
        /* another user's home is no reason to fail where no token was asked for */
        if (path && *path) {
            *err = problem;
            return -1;
        }
        return 0;
    }
    if (s->token) {
        free(s->token_where);
        s->token_where = xasprintf("file '%s'", file);
    }
    return 0;
}

static int hf_open(struct source *s, struct err *err)
{
    autofree char *where = NULL;

    if (credentials_get(s->model->credentials, "HF_TOKEN", &s->token, &s->token_where, err) ||
        credentials_get(s->model->credentials, "HF_ENDPOINT", &s->endpoint, &where, err))
        return -1;
    if (!s->token && read_token_files(s, err))
        return -1;
    if (!s->endpoint)
        s->endpoint = xstrdup(ENDPOINT);
    for (size_t n = strlen(s->endpoint); n && s->endpoint[n - 1] == '/'; n--)
        s->endpoint[n - 1] = '\0';
    char shown[300];
    if (strncmp(s->endpoint, "https://", 8) != 0 && strncmp(s->endpoint, "http://", 7) != 0)
        return err_set(err, ERR_INPUT, "HF_ENDPOINT: http://host or https://host expected");
    if (!strcmp(http_shown(s->endpoint, shown), "what is no URL") || strchr(s->endpoint, '@'))
        return err_set(err, ERR_INPUT, "HF_ENDPOINT is no URL, or carries a user or password");
    return 0;
}

/* One API answer, tried until it is there or refused. */
static int get_api(struct source *s, struct http *http, const char *url,
                   struct http_response *response, struct err *err)
{
    const struct http_request request = {
        .url = url,
        .token = s->token,
        .token_origin = s->endpoint,
        .max_body_bytes = PAGE_MAX_BYTES,
    };

    for (unsigned attempt = 1;; attempt++) {
        int64_t asked_s = -1;
        int rc = http_get(http, &request, response, err);
        if (!rc && response->status == 200)
            return 0;
        if (!rc) {
            asked_s = http_asked_s(response);
            rc = hf_explain(s, response, err);
        }
        if (err->kind != ERR_RETRY || job_check(s->job, &(struct err){0}) ||
            retry_wait(s->job, attempt, asked_s, err))
            return rc;
    }
}

static bool is_commit(const char *revision)
{
    return strlen(revision) == 40 && strspn(revision, "0123456789abcdefABCDEF") == 40;
}

static int resolve_revision(struct source *s, struct http *http, struct err *err)
{
    http_response_auto struct http_response response = {0};
    const char *kind = s->id->uri.dataset ? "datasets" : "models";
    const char *asked = s->id->version;

    if (is_commit(asked)) {
        free(s->revision);
        s->revision = xstrdup(asked);
        for (char *c = s->revision; *c; c++)
            *c = (char)(*c >= 'A' && *c <= 'F' ? *c + ('a' - 'A') : *c);
        return 0;
    }
    autofree char *quoted = hf_quote(asked, false);
    autofree char *url = xasprintf("%s/api/%s/%s%s%s", s->endpoint, kind, s->id->uri.name,
                                   *asked ? "/revision/" : "", quoted);
    char *sha = NULL;
    if (get_api(s, http, url, &response, err) ||
        hf_parse_sha(strbuf_text(&response.body), response.body.len, &sha, err))
        return -1;
    free(s->revision);
    s->revision = sha;
    return 0;
}

static int hf_resolve(struct source *s, struct manifest *out, struct err *err)
{
    http_auto struct http *http = http_new(s->job);
    const char *inside = s->id->uri.path;

    if (resolve_revision(s, http, err))
        return -1;
    autofree char *url =
        xasprintf("%s/api/%s/%s/tree/%s?recursive=true&expand=false", s->endpoint,
                  s->id->uri.dataset ? "datasets" : "models", s->id->uri.name, s->revision);
    for (int page = 0; url; page++) {
        http_response_auto struct http_response response = {0};
        if (page == PAGES_MAX)
            return err_set(err, ERR_SOURCE, "the list of files has more than %d pages", PAGES_MAX);
        if (get_api(s, http, url, &response, err) ||
            hf_list_parse(strbuf_text(&response.body), response.body.len, inside, out, err))
            return -1;
        autofree char *next = hf_list_next(response.link);
        char *absolute = next ? http_resolve_url(url, next) : NULL;
        free(url);
        url = absolute;
    }
    if (*inside && !out->n)
        return err_set(err, ERR_SOURCE,
                       "repository '%.200s' has no file or directory '%.300s' at %s",
                       s->id->uri.name, inside, s->revision);
    return 0;
}

static int hf_read(struct source *s, struct source_reader *r, const struct manifest_file *file,
                   uint64_t from, uint64_t to, const struct source_sink *sink, struct err *err)
{
    autofree char *path = hf_quote(file->locator, true);
    autofree char *url =
        xasprintf("%s/%s%s/resolve/%s/%s", s->endpoint, s->id->uri.dataset ? "datasets/" : "",
                  s->id->uri.name, s->revision, path);

    return remote_read(s, r, url, file, from, to, sink, hf_explain, err);
}

const struct source_ops source_hf = {
    .scheme = SOURCE_HF,
    .how = "downloaded",
    .open = hf_open,
    .resolve = hf_resolve,
    .read = hf_read,
};
