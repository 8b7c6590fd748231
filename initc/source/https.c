/* SPDX-License-Identifier: Apache-2.0 */
/*
 * https://: one file. Pinned by sha256=; without a pin it is fetched, hashed and reported as
 * unverified, and an ETag keeps the parts of a resumed download together.
 */
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "initc/retry.h"
#include "remote.h"
#include "source.h"

static int https_open(struct source *s, struct err *err)
{
    (void)err;
    s->endpoint = xstrdup(s->id->uri.name);
    return 0;
}

static int https_explain(const struct source *s, const struct http_response *response,
                         struct err *err)
{
    char shown[300];

    (void)http_shown(s->id->uri.name, shown);
    if (retry_is_transient(response->status))
        return err_set(err, ERR_RETRY, "%s answers %ld", shown, response->status);
    return err_set(err, ERR_SOURCE, "%s answers %ld for '%.200s'", shown, response->status,
                   s->id->uri.path);
}

/* The first byte is enough: what matters is the headers. Some servers refuse HEAD. */
static int one_byte(void *context, const void *bytes, size_t len, struct err *err)
{
    struct http_response *response = context;

    (void)bytes, (void)len;
    if (response->status == 206)
        return 0;
    return err_set(err, ERR_RETRY, "enough"); /* a server without ranges would send everything */
}

static int look(struct source *s, struct http *http, uint64_t *size, struct err *err)
{
    http_response_auto struct http_response response = {0};
    const struct http_request request = {
        .url = s->id->uri.name,
        .has_range = true,
        .sink = one_byte,
        .context = &response,
    };
    uint64_t from, to;

    int rc = http_get(http, &request, &response, err);
    bool whole = response.status == 200;
    if (rc && !whole)
        return -1;
    if (response.status == 416 && !strncmp(response.content_range, "bytes */0", 10))
        *size = 0;
    else if (whole && response.content_length >= 0)
        *size = (uint64_t)response.content_length;
    else if (whole)
        return err_set(err, ERR_SOURCE, "the server does not say how long '%.200s' is",
                       s->id->uri.path);
    else if (response.status != 206)
        return https_explain(s, &response, err);
    else if (remote_parse_content_range(response.content_range, &from, &to, size))
        return err_set(err, ERR_SOURCE, "the server answers with Content-Range '%.60s'",
                       response.content_range);
    free(s->etag);
    /* a weak ETag says nothing about bytes */
    s->etag = response.etag[0] == '"' ? xstrdup(response.etag) : NULL;
    return 0;
}

static int https_resolve(struct source *s, struct manifest *out, struct err *err)
{
    http_auto struct http *http = http_new(s->job);
    uint64_t size = 0;

    for (unsigned attempt = 1; look(s, http, &size, err); attempt++)
        if (err->kind != ERR_RETRY || job_check(s->job, &(struct err){0}) ||
            retry_wait(s->job, attempt, -1, err))
            return -1;
    free(s->revision);
    s->revision = xstrdup(*s->id->version ? s->id->version : s->etag ? s->etag : "");
    return manifest_add(out, s->id->uri.path, s->id->uri.name, size, &s->id->uri.digest, err);
}

static int https_read(struct source *s, struct source_reader *r, const struct manifest_file *file,
                      uint64_t from, uint64_t to, const struct source_sink *sink, struct err *err)
{
    return remote_read(s, r, file->locator, file, from, to, sink, https_explain, err);
}

const struct source_ops source_https = {
    .scheme = SOURCE_HTTPS,
    .how = "downloaded",
    .open = https_open,
    .resolve = https_resolve,
    .read = https_read,
};
