/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/xalloc.h"

static const struct source_ops *const sources[] = {&source_hf, &source_https, &source_pvc};

int source_open(struct source *s, const struct identity *id, const struct plan_model *model,
                struct job *job, struct err *err)
{
    memset(s, 0, sizeof *s);
    s->dir_fd = -1;
    s->id = id;
    s->model = model;
    s->job = job;
    s->revision = xstrdup("");
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (sources[i]->scheme == id->uri.scheme)
            s->ops = sources[i];
    if (!s->ops)
        return err_set(err, ERR_INPUT, "source '%.200s' is not supported", id->source);
    return s->ops->open(s, err);
}

int source_resolve(struct source *s, struct manifest *out, struct err *err)
{
    manifest_auto struct manifest m = {0};

    progress_phase(s->job->progress, "resolving", 0, 0);
    if (s->ops->resolve(s, &m, err))
        return -1;
    manifest_filter(&m, &s->id->include, &s->id->exclude);
    if (!m.n)
        return err_set(err, ERR_SOURCE, "'%.300s' has no files%s", s->id->source,
                       s->id->include.n || s->id->exclude.n ? " that pass include and exclude"
                                                            : "");
    if (manifest_finish(&m, err))
        return -1;
    *out = m;
    memset(&m, 0, sizeof m);
    return 0;
}

void source_release(struct source *s)
{
    if (s->token)
        explicit_bzero(s->token, strlen(s->token));
    free(s->token);
    free(s->token_where);
    free(s->endpoint);
    free(s->revision);
    free(s->etag);
    free(s->file_name);
    if (s->dir_fd >= 0)
        (void)close(s->dir_fd);
    memset(s, 0, sizeof *s);
    s->dir_fd = -1;
}

void source_reader_release(struct source_reader *r)
{
    http_free(r->http);
    free(r->link);
    free(r->etag);
    memset(r, 0, sizeof *r);
}
