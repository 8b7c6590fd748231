/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/digest.h"
#include "common/strbuf.h"
#include "common/xalloc.h"

static char *source_text(const struct source_uri *u)
{
    const char *slash = *u->path ? "/" : "";

    switch (u->scheme) {
    case SOURCE_HF:
        return xasprintf("hf://%s%s%s%s", u->dataset ? "datasets/" : "", u->name, slash, u->path);
    case SOURCE_PVC:
        return xasprintf("pvc://%s%s%s", u->name, slash, u->path);
    case SOURCE_HTTPS:
        break;
    }
    return xstrndup(u->name, strcspn(u->name, "?"));
}

static char *version_text(const struct source_uri *u)
{
    char digest[DIGEST_TEXT_BYTES];

    if (u->scheme == SOURCE_HTTPS && u->digest.algo)
        return xstrdup(digest_format(&u->digest, digest));
    return xstrdup(u->revision ? u->revision : "");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void copy_sorted(struct strlist *to, const struct strlist *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (!strlist_has(to, from->v[i]))
            strlist_add(to, from->v[i]);
    if (to->n)
        qsort(to->v, to->n, sizeof *to->v, by_text);
}

static void add_list(struct strbuf *b, const struct strlist *list)
{
    strbuf_add(b, "", 1);
    for (size_t i = 0; i < list->n; i++)
        strbuf_add(b, list->v[i], strlen(list->v[i]) + 1);
}

static void make_key(struct identity *id, const char *name)
{
    strbuf_auto struct strbuf b = STRBUF_INIT(PLAN_MAX_BYTES * 4);
    struct digest d;
    char text[DIGEST_TEXT_BYTES];

    strbuf_add(&b, id->source, strlen(id->source) + 1);
    strbuf_add(&b, id->version, strlen(id->version) + 1);
    strbuf_add(&b, name, strlen(name) + 1);
    add_list(&b, &id->include);
    add_list(&b, &id->exclude);
    digest_bytes(DIGEST_SHA256, strbuf_text(&b), b.len, &d);
    (void)digest_format(&d, text);
    memcpy(id->key, text + strlen("sha256:"), sizeof id->key - 1);
    id->key[sizeof id->key - 1] = '\0';
}

int identity_init(struct identity *id, const struct plan_model *model, const char *name,
                  struct err *err)
{
    if (source_uri_parse(model->source, model->version, &id->uri, err))
        return err_wrap(err, "source '%.200s'", model->source);
    id->source = source_text(&id->uri);
    id->version = version_text(&id->uri);
    copy_sorted(&id->include, &model->include);
    copy_sorted(&id->exclude, &model->exclude);
    make_key(id, name);
    return 0;
}

void identity_release(struct identity *id)
{
    source_uri_release(&id->uri);
    free(id->source);
    free(id->version);
    strlist_release(&id->include);
    strlist_release(&id->exclude);
    memset(id, 0, sizeof *id);
}

char *identity_text(const char *source, const char *version)
{
    return *version ? xasprintf("%s@%s", source, version) : xstrdup(source);
}
