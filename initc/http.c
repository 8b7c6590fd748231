/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/xalloc.h"
#include "http_url.h"
#include "retry.h"

#define CONNECT_TIMEOUT_S 30
#define ERROR_BODY_MAX_BYTES (64 * 1024)
#define RECEIVE_BUFFER_BYTES (256 * 1024)

struct http {
    CURL *easy;
    const struct job *job;
    char curl_error[CURL_ERROR_SIZE];
    bool refused_address;
    /* while a request runs */
    const struct http_request *request;
    struct http_response *response;
    struct err *sink_err; /* set once the sink ended the transfer */
    bool sink_failed;
    bool too_large;
    bool error_is_long; /* an error's body: its beginning is enough */
    bool stalled;
    curl_off_t received;
    int64_t received_ms; /* when that changed last */
};

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct http *h = arg;
    struct http_response *r = h->response;
    const struct {
        const char *name;
        char *out;
        size_t size;
    } wanted[] = {
        {"location", r->location, sizeof r->location},
        {"link", r->link, sizeof r->link},
        {"etag", r->etag, sizeof r->etag},
        {"x-error-code", r->error_code, sizeof r->error_code},
        {"x-error-message", r->error_message, sizeof r->error_message},
        {"retry-after", r->retry_after, sizeof r->retry_after},
        {"ratelimit", r->ratelimit, sizeof r->ratelimit},
        {"content-range", r->content_range, sizeof r->content_range},
    };
    size_t len = size * n;
    const char *colon = memchr(line, ':', len);

    for (size_t i = 0; colon && i < sizeof wanted / sizeof *wanted; i++) {
        size_t name_len = strlen(wanted[i].name);
        if (name_len != (size_t)(colon - line) || strncasecmp(line, wanted[i].name, name_len) != 0)
            continue;
        const char *value = colon + 1, *end = line + len;
        while (value < end && (*value == ' ' || *value == '\t'))
            value++;
        while (end > value && (unsigned char)end[-1] <= ' ')
            end--;
        if ((size_t)(end - value) < wanted[i].size) {
            memcpy(wanted[i].out, value, (size_t)(end - value));
            wanted[i].out[end - value] = '\0';
        }
    }
    return len;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct http *h = arg;
    size_t len = size * n;
    curl_off_t length = -1;

    (void)curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &h->response->status);
    (void)curl_easy_getinfo(h->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    h->response->content_length = length;
    bool good = h->response->status == 200 || h->response->status == 206;
    if (good && h->request->sink) {
        h->sink_failed = h->request->sink(h->request->context, bytes, len, h->sink_err) != 0;
        return h->sink_failed ? 0 : len;
    }
    strbuf_add(&h->response->body, bytes, len);
    if (good && h->response->body.overflow) {
        h->too_large = true;
        return 0;
    }
    if (h->response->body.overflow) {
        h->error_is_long = true;
        return 0;
    }
    return len;
}

/* Called at least once a second. curl's own limit is an average over several seconds, so late. */
static int on_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    struct http *h = arg;
    struct err ignored;
    int64_t now_ms = job_now_ms();

    (void)total, (void)up_total, (void)up_now;
    if (now != h->received) {
        h->received = now;
        h->received_ms = now_ms;
    }
    h->stalled = now_ms - h->received_ms >= h->job->stall_s * 1000;
    return h->stalled || job_check(h->job, &ignored);
}

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http *h = arg;

    (void)purpose;
    if (http_is_forbidden_address(&address->addr)) {
        h->refused_address = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void init_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
        (void)fputs("libcurl cannot start\n", stderr);
        abort();
    }
}

static void set_ca_bundle(CURL *easy)
{
    const char *file = getenv("SSL_CERT_FILE");
    const char *dir = getenv("SSL_CERT_DIR");

    if (!file || !*file)
        file = getenv("CURL_CA_BUNDLE");
    if (file && *file)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    if (dir && *dir)
        (void)curl_easy_setopt(easy, CURLOPT_CAPATH, dir);
}

struct http *http_new(const struct job *job)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* lazily: a warm start needs no libcurl */
    struct http *h = xcalloc(1, sizeof *h);

    (void)pthread_once(&once, init_curl);
    h->job = job;
    h->easy = curl_easy_init();
    if (!h->easy) {
        (void)fputs("libcurl cannot start\n", stderr);
        abort();
    }
    CURL *e = h->easy;
    int64_t connect_s = job->stall_s < CONNECT_TIMEOUT_S ? job->stall_s : CONNECT_TIMEOUT_S;
    (void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    (void)curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(e, CURLOPT_USERAGENT, "modelberth-initc/" MODELBERTH_VERSION);
    (void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)connect_s);
    (void)curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER_BYTES);
    (void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, h->curl_error);
    (void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(e, CURLOPT_HEADERDATA, h);
    (void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(e, CURLOPT_WRITEDATA, h);
    (void)curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(e, CURLOPT_XFERINFODATA, h);
    (void)curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    (void)curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, h);
    set_ca_bundle(e);
    return h;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->easy);
    free(http);
}

void http_response_release(struct http_response *r)
{
    strbuf_release(&r->body);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    autofree char *line = xasprintf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);

    if (!longer) {
        (void)fputs("out of memory\n", stderr);
        abort();
    }
    return longer;
}

static int transport_error(struct http *h, CURLcode code, const char *url, struct err *err)
{
    char shown[300];
    const char *text = h->curl_error[0] ? h->curl_error : curl_easy_strerror(code);

    (void)http_shown(url, shown);
    if (h->sink_failed)
        return -1;
    if (code == CURLE_ABORTED_BY_CALLBACK && job_check(h->job, err))
        return -1;
    if (h->stalled)
        return err_set(err, ERR_RETRY, "%s stalled: no byte for %lld s", shown,
                       (long long)h->job->stall_s);
    if (h->too_large)
        return err_set(err, ERR_SOURCE, "the answer of %s is larger than %zu bytes", shown,
                       h->request->max_body_bytes);
    if (h->refused_address)
        return err_set(
            err, ERR_SOURCE,
            "%s resolves to a link-local address, where clouds serve credentials: refused", shown);
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return err_set(
            err, ERR_SOURCE,
            "the certificate of %s is not trusted: %s; SSL_CERT_FILE names the CA bundle", shown,
            text);
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return err_set(err, ERR_SOURCE, "cannot use the URL of %s: %s", shown, text);
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(err, ERR_RETRY, "%s does not answer: %s", shown, text);
    default:
        return err_set(err, ERR_RETRY, "the connection to %s failed: %s", shown, text);
    }
}

/* One request without redirects. */
static int get_once(struct http *h, const struct http_request *q, const char *url,
                    struct http_response *r, struct err *err)
{
    struct curl_slist *headers = NULL;
    strbuf_auto struct strbuf body = r->body; /* its memory is used again */
    char range[64];

    strbuf_clear(&body);
    memset(r, 0, sizeof *r);
    body.max = q->sink ? ERROR_BODY_MAX_BYTES : q->max_body_bytes;
    r->body = body;
    memset(&body, 0, sizeof body);
    r->content_length = -1;
    (void)snprintf(r->url, sizeof r->url, "%s", url);
    h->request = q;
    h->response = r;
    h->sink_err = err;
    h->sink_failed = h->too_large = h->error_is_long = h->refused_address = false;
    h->curl_error[0] = '\0';
    h->stalled = false;
    h->received = 0;
    h->received_ms = job_now_ms();

    if (q->token && http_same_origin(url, q->token_origin)) {
        autofree char *bearer = xasprintf("Bearer %s", q->token);
        headers = add_header(headers, "Authorization", bearer);
        explicit_bzero(bearer, strlen(bearer));
    }
    if (q->if_range)
        headers = add_header(headers, "If-Range", q->if_range);
    (void)snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)q->from,
                   (unsigned long long)q->to);
    (void)curl_easy_setopt(h->easy, CURLOPT_RANGE, q->has_range ? range : NULL);
    (void)curl_easy_setopt(h->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(h->easy, CURLOPT_URL, url);
    CURLcode code = curl_easy_perform(h->easy);
    (void)curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    if (code && !h->error_is_long)
        return transport_error(h, code, url, err);
    curl_off_t length = -1;
    (void)curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &r->status);
    (void)curl_easy_getinfo(h->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    r->content_length = length;
    return 0;
}

static bool is_redirect(const struct http_response *r)
{
    return (r->status == 301 || r->status == 302 || r->status == 303 || r->status == 307 ||
            r->status == 308) &&
           r->location[0];
}

int http_get(struct http *http, const struct http_request *request, struct http_response *response,
             struct err *err)
{
    autofree char *url = xstrdup(request->url);
    char shown[300];

    for (int hop = 0; hop <= HTTP_MAX_REDIRECTS; hop++) {
        if (http_check_url(url, err) || get_once(http, request, url, response, err))
            return -1;
        response->left_origin = !http_same_origin(url, request->url);
        if (!is_redirect(response))
            return 0;
        autofree char *next = http_resolve_url(url, response->location);
        if (!next || (!strncasecmp(url, "https:", 6) && strncasecmp(next, "https:", 6) != 0))
            return err_set(err, ERR_SOURCE, "%s redirects to what is not https: refused",
                           http_shown(url, shown));
        free(url);
        url = take(next);
    }
    return err_set(err, ERR_SOURCE, "%s redirects more than %d times",
                   http_shown(request->url, shown), HTTP_MAX_REDIRECTS);
}

int64_t http_asked_s(const struct http_response *r)
{
    return retry_asked_s(r->retry_after[0] ? r->retry_after : NULL,
                         r->ratelimit[0] ? r->ratelimit : NULL, (int64_t)time(NULL));
}
