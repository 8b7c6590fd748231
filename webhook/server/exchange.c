/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/server/exchange.h"

#include <ctype.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "webhook/review.h"
#include "webhook/server/connection.h"
#include "webhook/server/metrics.h"
#include "webhook/server/route.h"

#define BODY_FIRST_BYTES 16384UL
/* Past the limit this much is read and dropped, so that the client gets to see the answer. */
#define BODY_DROPPED_MAX_BYTES REVIEW_BODY_MAX_BYTES

static const char too_large[] = "the body is larger than 7 MiB";
static const char too_many[] = "too many large requests at once; try again";

struct exchange {
    const struct route *route;
    char *body; /* not terminated */
    size_t len;
    size_t alloc;
    size_t dropped;        /* bytes read and not kept */
    const char *trouble;   /* why they were dropped */
    unsigned trouble_code; /* the status for it */
};

static atomic_size_t bodies_bytes; /* allocated for all bodies */
static pthread_mutex_t large_turn = PTHREAD_MUTEX_INITIALIZER;

/* What the head says, as far as it must be unambiguous. */
struct head {
    unsigned lengths;
    unsigned encodings;
    unsigned hosts;
    const char *length;
    const char *encoding;
    const char *type;
    bool malformed; /* a name or value that no sane client sends */
};

static enum MHD_Result read_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    struct head *head = cls;

    (void)kind;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-.^_`|~", *p))
            head->malformed = true;
    for (const char *p = value ? value : ""; *p; p++)
        if ((iscntrl((unsigned char)*p) && *p != '\t'))
            head->malformed = true;
    if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
        head->lengths++;
        head->length = value;
    } else if (!strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
        head->encodings++;
        head->encoding = value;
    } else if (!strcasecmp(name, MHD_HTTP_HEADER_HOST)) {
        head->hosts++;
    } else if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_TYPE)) {
        head->type = value;
    }
    return MHD_YES;
}

/* NULL, or what is wrong with the framing. */
static const char *check_framing(const struct head *head)
{
    if (head->malformed)
        return "malformed header";
    if (head->lengths > 1)
        return "more than one Content-Length";
    if (head->encodings && head->lengths)
        return "both Content-Length and Transfer-Encoding";
    if (head->encodings > 1 || (head->encodings && strcasecmp(head->encoding, "chunked") != 0))
        return "the only Transfer-Encoding is chunked";
    if (head->hosts > 1)
        return "more than one Host";
    if (head->length && (!*head->length || head->length[strspn(head->length, "0123456789")]))
        return "Content-Length is not a number";
    return NULL;
}

static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;

    if (!type || strncasecmp(type, json, len) != 0)
        return false;
    type += len;
    type += strspn(type, " \t");
    return !*type || *type == ';';
}

/* Refuses on the head alone, before a byte of the body is read; true when `out` is filled. */
static bool refuse(struct exchange *x, struct MHD_Connection *connection, const char *method,
                   const char *url, const char *version, struct answer *out)
{
    struct head head = {0};
    const char *problem;

    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, read_header, &head);
    if (strcmp(version, MHD_HTTP_VERSION_1_1) != 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0) {
        answer_error(out, 505, "HTTP/1.1 expected");
    } else if ((problem = check_framing(&head))) {
        answer_error(out, 400, problem);
    } else if (!(x->route = route_find(method, url, out))) {
        return true;
    } else if (!x->route->takes_json) {
        /* a body is read and dropped: the limit is the same */
        if (!head.length || strtoull(head.length, NULL, 10) <= BODY_DROPPED_MAX_BYTES)
            return false;
        answer_error(out, 413, too_large);
    } else if (!is_json(head.type)) {
        answer_error(out, 415, "Content-Type application/json expected");
    } else if (head.length && strtoull(head.length, NULL, 10) > REVIEW_BODY_MAX_BYTES) {
        answer_error(out, 413, too_large);
    } else {
        return false;
    }
    return true;
}

static void drop_body(struct exchange *x)
{
    atomic_fetch_sub(&bodies_bytes, x->alloc);
    free(x->body);
    x->body = NULL;
    x->len = x->alloc = 0;
}

static void set_trouble(struct exchange *x, unsigned status, const char *text)
{
    drop_body(x);
    x->trouble = text;
    x->trouble_code = status;
}

/* What all bodies may take for one of them to grow to `alloc` bytes. */
static size_t limit_for(size_t alloc)
{
    if (alloc <= EXCHANGE_SMALL_BYTES)
        return SIZE_MAX;
    return alloc <= EXCHANGE_LARGE_BYTES ? EXCHANGE_BODIES_MAX_BYTES
                                         : EXCHANGE_LARGE_BODIES_MAX_BYTES;
}

/* Room for `len` more bytes, out of what all bodies together may take. */
static bool reserve(struct exchange *x, size_t len)
{
    size_t need = x->len + len;
    size_t alloc = x->alloc ? x->alloc : BODY_FIRST_BYTES;

    if (need <= x->alloc)
        return true;
    while (alloc < need)
        alloc *= 2;
    if (alloc > REVIEW_BODY_MAX_BYTES)
        alloc = REVIEW_BODY_MAX_BYTES;
    size_t more = alloc - x->alloc;
    if (atomic_fetch_add(&bodies_bytes, more) + more > limit_for(alloc)) {
        atomic_fetch_sub(&bodies_bytes, more);
        return false;
    }
    x->body = xreallocarray(x->body, alloc, 1);
    x->alloc = alloc;
    return true;
}

/* Takes a part of the body. False: the client has sent too much to be worth an answer. */
static bool receive(struct exchange *x, const char *data, size_t len)
{
    if (!x->trouble && x->route->takes_json) {
        if (len > REVIEW_BODY_MAX_BYTES - x->len) {
            set_trouble(x, 413, too_large);
        } else if (!reserve(x, len)) {
            set_trouble(x, 503, too_many);
        } else {
            memcpy(x->body + x->len, data, len);
            x->len += len;
            return true;
        }
    }
    x->dropped += len;
    return x->dropped <= BODY_DROPPED_MAX_BYTES;
}

static enum MHD_Result respond(const struct service *service, struct MHD_Connection *connection,
                               struct answer *answer)
{
    size_t len = answer->len;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, take(answer->body), MHD_RESPMEM_MUST_FREE);

    if (!response)
        return MHD_NO;
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->content_type);
    if (answer->allow)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
    if (answer->close || atomic_load(&service->draining))
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    metrics_response(answer->status);
    enum MHD_Result rc = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result begin(const struct service *service, struct MHD_Connection *connection,
                             const char *method, const char *url, const char *version,
                             void **request_context)
{
    struct exchange *x = xcalloc(1, sizeof *x);
    struct answer answer = {.close = true};

    *request_context = x;
    metrics_request_begin();
    if (!refuse(x, connection, method, url, version, &answer))
        return MHD_YES;
    enum MHD_Result rc = respond(service, connection, &answer);
    answer_release(&answer);
    return rc;
}

/* True with the turn taken. By the wall clock, since ThreadSanitizer knows no lock by another. */
static bool large_begin(void)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += EXCHANGE_LARGE_WAIT_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    return !pthread_mutex_timedlock(&large_turn, &until);
}

static void large_end(void)
{
    (void)malloc_trim(0); /* a tree of small pieces stays with the allocator otherwise */
    (void)pthread_mutex_unlock(&large_turn);
}

static void handle(struct service *service, struct exchange *x, struct answer *answer)
{
    bool large = x->len > EXCHANGE_LARGE_BYTES;

    if (large && !large_begin()) {
        answer_error(answer, 503, too_many);
        return;
    }
    x->route->handle(service, x->body, x->len, answer);
    drop_body(x);
    if (large)
        large_end();
}

static enum MHD_Result finish(struct service *service, struct MHD_Connection *connection,
                              struct exchange *x)
{
    struct answer answer = {0};

    if (x->trouble) {
        answer_error(&answer, x->trouble_code, x->trouble);
        answer.close = true;
    } else if (x->route->takes_json && !x->len) {
        answer_error(&answer, 400, "the body is missing");
        answer.close = true; /* what was meant as one would be read as the next request */
    } else {
        handle(service, x, &answer);
    }
    enum MHD_Result rc = respond(service, connection, &answer);
    answer_release(&answer);
    return rc;
}

enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *upload_data,
                                size_t *upload_data_size, void **request_context)
{
    struct service *service = cls;
    struct exchange *x = *request_context;

    if (!x)
        return begin(service, connection, method, url, version, request_context);
    if (*upload_data_size) {
        bool taken = receive(x, upload_data, *upload_data_size);
        *upload_data_size = 0;
        return taken ? MHD_YES : MHD_NO;
    }
    return finish(service, connection, x);
}

void exchange_completed(void *cls, struct MHD_Connection *connection, void **request_context,
                        enum MHD_RequestTerminationCode code)
{
    struct exchange *x = *request_context;

    (void)cls;
    (void)code;
    if (!x)
        return;
    drop_body(x);
    free(x);
    *request_context = NULL;
    connection_completed(connection);
    metrics_request_end();
}
