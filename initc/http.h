/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_HTTP_H
#define MODELBERTH_INITC_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/strbuf.h"
#include "job.h"

/*
 * GET over libcurl with the rules that every source shares:
 *
 * - Redirects are followed here, one request each, at most HTTP_MAX_REDIRECTS; never from https to
 *   http. The token goes only to requests whose scheme, host and port are those it
 *   belongs to.
 * - Link-local addresses, where clouds serve credentials, are refused after DNS.
 * - No .netrc, no protocols but http and https, no content encodings. Proxies come
 *   from the environment, CA bundles from SSL_CERT_FILE or CURL_CA_BUNDLE.
 * - A transfer that brings no byte for the stall timeout ends, as does a job that was told to stop.
 *
 * A client belongs to one thread at a time and keeps its connections.
 */
#define HTTP_MAX_REDIRECTS 10
#define HTTP_HEADER_BYTES 8192 /* signed links are long */

struct http;

struct http *http_new(const struct job *job);
void http_free(struct http *http);

static inline void http_cleanup(struct http **http)
{
    http_free(*http);
}
#define http_auto __attribute__((cleanup(http_cleanup)))

struct http_request {
    const char *url;
    const char *token;        /* bearer; NULL for none */
    const char *token_origin; /* URL whose origin the token belongs to */
    bool has_range;
    uint64_t from, to;    /* first and last byte */
    const char *if_range; /* ETag that the range must belong to; NULL for none */
    /*
     * Gets the body of a 200 or 206. `status` is known by then, and the response's headers. What it
     * returns other than 0 ends the transfer: http_get() then returns -1 with the *err that it set.
     * NULL collects into response.body.
     */
    int (*sink)(void *context, const void *bytes, size_t len, struct err *err);
    void *context;
    size_t max_body_bytes; /* without a sink */
};

struct http_response {
    long status;
    char url[HTTP_HEADER_BYTES]; /* after redirects */
    bool left_origin;            /* the last answer came from another origin than request.url */
    char location[HTTP_HEADER_BYTES];
    char link[HTTP_HEADER_BYTES];
    char etag[512];
    char error_code[128];    /* X-Error-Code */
    char error_message[512]; /* X-Error-Message */
    char retry_after[128];
    char ratelimit[256];
    char content_range[128];
    int64_t content_length; /* -1 when not given */
    struct strbuf body;     /* an answer without sink, or the beginning of an error's */
};

#define http_response_auto __attribute__((cleanup(http_response_release)))
void http_response_release(struct http_response *r);

/*
 * Sends the request. `response` is zeroed by the caller and to be released.
 * Returns 0 for every complete HTTP answer, whatever its status; -1 with *err: ERR_RETRY when the
 * connection failed, stalled or was cut; ERR_SOURCE for what repeating does not help (an
 * untrusted certificate, a refused redirect or address).
 */
int http_get(struct http *http, const struct http_request *request, struct http_response *response,
             struct err *err);

/* Whether scheme, host and port of two URLs are the same. */
bool http_same_origin(const char *a, const char *b);

/* Scheme and host for messages: a path or query may hold a secret. Writes into `out`. */
const char *http_shown(const char *url, char out[static 300]);

/* Makes `reference` absolute against `base`: out is the caller's, NULL when it is no URL. */
char *http_resolve_url(const char *base, const char *reference);

/* Whether the address (a struct sockaddr) is link-local or a cloud's credential service. */
bool http_is_forbidden_address(const void *sockaddr);

/* For messages: seconds that the answer asks to wait, -1 when it does not say. */
int64_t http_asked_s(const struct http_response *r);

#endif
