/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/server/route.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "common/xalloc.h"
#include "webhook/review.h"
#include "webhook/server/certs.h"
#include "webhook/server/connection.h"
#include "webhook/server/metrics.h"

#define NS_PER_S 1000000000ULL

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void answer_text(struct answer *out, unsigned status, const char *text)
{
    out->status = status;
    out->content_type = "text/plain; charset=utf-8";
    out->body = xstrdup(text);
    out->len = strlen(text);
}

void answer_error(struct answer *out, unsigned status, const char *message)
{
    json_auto_t *body = json_pack("{s:o}", "error", json_string_lossy(message));

    out->status = status;
    out->content_type = "application/json";
    out->body = json_text(body);
    out->len = strlen(out->body);
}

void answer_release(struct answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

static void log_review(const struct review_result *r, uint64_t duration_ns)
{
    log_event(LOG_INFO, "review",
              json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I}", "uid", r->uid, "kind", r->kind,
                        "namespace", r->namespace, "name", r->name, "operation", r->operation,
                        "decision", review_outcome_name(r->outcome), "reason",
                        json_string_lossy(r->reason), "duration_us",
                        (json_int_t)(duration_ns / 1000)));
}

static void log_review_error(const struct err *err, uint64_t duration_ns)
{
    log_event(LOG_WARN, "review",
              json_pack("{s:s, s:o, s:I}", "decision", "error", "reason",
                        json_string_lossy(err->msg), "duration_us",
                        (json_int_t)(duration_ns / 1000)));
}

static void mutate(struct service *service, const char *body, size_t len, struct answer *out)
{
    struct review_result result = {0};
    struct err err = {0};
    uint64_t start = now_ns();

    int rc = review_answer(body, len, service->config, &result, &err);
    uint64_t duration = now_ns() - start;
    if (rc) {
        metrics_review_error(duration);
        log_review_error(&err, duration);
        answer_error(out, err.kind == ERR_INPUT ? 400 : 500, err.msg);
        return;
    }
    metrics_review(result.kind, result.outcome, duration);
    log_review(&result, duration);
    out->status = 200;
    out->content_type = "application/json";
    out->len = result.body_len;
    out->body = take(result.body);
    review_result_release(&result);
}

static void healthz(struct service *service, const char *body, size_t len, struct answer *out)
{
    (void)service;
    (void)body;
    (void)len;
    answer_text(out, 200, "ok\n");
}

static void readyz(struct service *service, const char *body, size_t len, struct answer *out)
{
    (void)body;
    (void)len;
    if (atomic_load(&service->draining))
        answer_text(out, 503, "shutting down\n");
    else
        answer_text(out, 200, "ok\n");
}

static void metrics(struct service *service, const char *body, size_t len, struct answer *out)
{
    strbuf_auto struct strbuf text = STRBUF_INIT(METRICS_MAX_BYTES);
    const struct metrics_gauges gauges = {.connections = connections_count(),
                                          .certificate_expiry = certs_expiry(),
                                          .resident_bytes = metrics_resident_bytes()};

    (void)service;
    (void)body;
    (void)len;
    metrics_write(&text, &gauges);
    out->status = 200;
    out->content_type = "text/plain; version=0.0.4; charset=utf-8";
    out->len = text.len;
    out->body = strbuf_take(&text);
}

static const struct route routes[] = {
    {"POST", "/mutate", true, mutate},
    {"GET", "/healthz", false, healthz},
    {"GET", "/readyz", false, readyz},
    {"GET", "/metrics", false, metrics},
};
#define N_ROUTES (sizeof routes / sizeof *routes)

const struct route *route_find(const char *method, const char *path, struct answer *refusal)
{
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (strcmp(routes[i].path, path) != 0)
            continue;
        if (!strcmp(routes[i].method, method))
            return &routes[i];
        autofree char *what = xasprintf("%s takes %s only", routes[i].path, routes[i].method);
        answer_error(refusal, 405, what);
        refusal->allow = routes[i].method;
        return NULL;
    }
    answer_error(refusal, 404, "no such path; there are /mutate, /healthz, /readyz and /metrics");
    return NULL;
}
