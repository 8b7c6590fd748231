/* SPDX-License-Identifier: Apache-2.0 */
#include "remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "initc/retry.h"

#define REFUSED_LINKS_MAX 4

struct reading {
    const struct source_sink *sink;
    const struct http_response *response;
    const struct manifest_file *file;
    uint64_t from;
    bool begun;
};

int remote_parse_content_range(const char *text, uint64_t *from, uint64_t *to, uint64_t *total)
{
    unsigned long long a, b, c;
    int end = 0;

    if (sscanf(text, "bytes %20llu-%20llu/%20llu%n", &a, &b, &c, &end) != 3 || text[end] || a > b ||
        b >= c)
        return -1;
    *from = a;
    *to = b;
    *total = c;
    return 0;
}

/* Before the first byte: is it the range that was asked for? */
static int begin(struct reading *g, struct err *err)
{
    uint64_t from = 0, to = 0, total = 0;

    g->begun = true;
    if (g->response->status == 200)
        return g->from ? g->sink->restart(g->sink->context, err) : 0;
    if (remote_parse_content_range(g->response->content_range, &from, &to, &total))
        return err_set(err, ERR_RETRY, "the source answers '%.200s' with Content-Range '%.60s'",
                       g->file->path, g->response->content_range);
    if (from != g->from || total != g->file->size)
        return err_set(err, ERR_RETRY,
                       "the source answers '%.200s' with bytes %llu to %llu of %llu, asked was "
                       "from byte %llu of %llu",
                       g->file->path, (unsigned long long)from, (unsigned long long)to,
                       (unsigned long long)total, (unsigned long long)g->from,
                       (unsigned long long)g->file->size);
    return 0;
}

static int on_bytes(void *context, const void *bytes, size_t len, struct err *err)
{
    struct reading *g = context;

    if (!g->begun && begin(g, err))
        return -1;
    return g->sink->write(g->sink->context, bytes, len, err);
}

static void forget_link(struct source_reader *r)
{
    free(r->link);
    r->link = NULL;
}

static int judge(struct source *s, struct source_reader *r, const struct http_response *response,
                 bool by_link, remote_explain *explain, struct err *err)
{
    char shown[300];

    if (response->status == 200 || response->status == 206) {
        r->refused_links = 0;
        if (response->left_origin && strlen(response->url) + 1 < sizeof response->url) {
            forget_link(r);
            r->link = xstrdup(response->url);
        }
        return 0;
    }
    forget_link(r);
    r->asked_s = http_asked_s(response);
    if (retry_is_transient(response->status))
        return err_set(err, ERR_RETRY, "%s answers %ld", http_shown(response->url, shown),
                       response->status);
    if ((by_link || response->left_origin) && response->status < 500 &&
        ++r->refused_links < REFUSED_LINKS_MAX)
        return err_set(err, ERR_RETRY, "%s answers %ld: the link has expired",
                       http_shown(response->url, shown), response->status);
    return explain(s, response, err);
}

int remote_read(struct source *s, struct source_reader *r, const char *url,
                const struct manifest_file *file, uint64_t from, uint64_t to,
                const struct source_sink *sink, remote_explain *explain, struct err *err)
{
    http_response_auto struct http_response response = {0};
    struct reading reading = {.sink = sink, .response = &response, .file = file, .from = from};

    if (r->file != file) {
        forget_link(r);
        r->file = file;
        r->refused_links = 0;
    }
    if (!r->http)
        r->http = http_new(s->job);
    r->asked_s = -1;
    autofree char *target = xstrdup(r->link ? r->link : url);
    struct http_request request = {
        .url = target,
        .token = s->token,
        .token_origin = s->endpoint,
        .has_range = true,
        .from = from,
        .to = to,
        .if_range = from && !file->digest.algo ? s->etag : NULL,
        .sink = on_bytes,
        .context = &reading,
    };
    bool by_link = r->link != NULL;
    if (http_get(r->http, &request, &response, err)) {
        forget_link(r);
        return -1;
    }
    return judge(s, r, &response, by_link, explain, err);
}
