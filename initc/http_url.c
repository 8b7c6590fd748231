/* SPDX-License-Identifier: Apache-2.0 */
/* URLs and addresses: what is the same origin, and where requests must not go. Pure. */
#include "http_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "common/xalloc.h"
#include "http.h"

struct origin {
    char *scheme, *host, *port;
    char *user;
};

static void release_origin(struct origin *o)
{
    curl_free(o->scheme);
    curl_free(o->host);
    curl_free(o->port);
    curl_free(o->user);
}

/* Returns 0, or -1 when it is no URL. */
static int parse_origin(const char *url, struct origin *out)
{
    CURLU *u = curl_url();
    struct origin o = {0};

    if (!u)
        return -1;
    int rc = curl_url_set(u, CURLUPART_URL, url, 0) ||
             curl_url_get(u, CURLUPART_SCHEME, &o.scheme, 0) ||
             curl_url_get(u, CURLUPART_HOST, &o.host, 0) ||
             curl_url_get(u, CURLUPART_PORT, &o.port, CURLU_DEFAULT_PORT);
    if (!rc && curl_url_get(u, CURLUPART_USER, &o.user, 0))
        o.user = NULL;
    curl_url_cleanup(u);
    if (rc) {
        release_origin(&o);
        return -1;
    }
    *out = o;
    return 0;
}

bool http_same_origin(const char *a, const char *b)
{
    struct origin x = {0}, y = {0};
    bool same = !parse_origin(a, &x) && !parse_origin(b, &y) && !strcasecmp(x.scheme, y.scheme) &&
                !strcasecmp(x.host, y.host) && !strcmp(x.port, y.port);

    release_origin(&x);
    release_origin(&y);
    return same;
}

const char *http_shown(const char *url, char out[static 300])
{
    struct origin o = {0};

    if (parse_origin(url, &o))
        (void)snprintf(out, 300, "what is no URL");
    else
        (void)snprintf(out, 300, "%.10s://%.250s", o.scheme, o.host);
    release_origin(&o);
    return out;
}

char *http_resolve_url(const char *base, const char *reference)
{
    CURLU *u = curl_url();
    char *text = NULL, *copy = NULL;

    if (u && !curl_url_set(u, CURLUPART_URL, base, 0) &&
        !curl_url_set(u, CURLUPART_URL, reference, CURLU_NON_SUPPORT_SCHEME) &&
        !curl_url_get(u, CURLUPART_URL, &text, 0))
        copy = xstrdup(text);
    curl_free(text);
    curl_url_cleanup(u);
    return copy;
}

static bool forbidden4(uint32_t address)
{
    return address >> 16 == 0xa9fe; /* 169.254.0.0/16 */
}

static bool forbidden6(const struct in6_addr *a)
{
    static const uint8_t ec2[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54};
    uint32_t low;

    memcpy(&low, a->s6_addr + 12, sizeof low);
    if (IN6_IS_ADDR_V4MAPPED(a) || IN6_IS_ADDR_V4COMPAT(a))
        return forbidden4(ntohl(low));
    return IN6_IS_ADDR_LINKLOCAL(a) || !memcmp(a->s6_addr, ec2, sizeof ec2);
}

bool http_is_forbidden_address(const void *sockaddr)
{
    const struct sockaddr *any = sockaddr;

    if (any->sa_family == AF_INET)
        return forbidden4(ntohl(((const struct sockaddr_in *)sockaddr)->sin_addr.s_addr));
    if (any->sa_family == AF_INET6)
        return forbidden6(&((const struct sockaddr_in6 *)sockaddr)->sin6_addr);
    return true;
}

static bool is_forbidden_host(const char *host)
{
    char bare[64];
    struct in_addr v4;
    struct in6_addr v6;
    size_t n = strlen(host);

    if (inet_aton(host, &v4))
        return forbidden4(ntohl(v4.s_addr));
    if (host[0] != '[' || n - 2 >= sizeof bare)
        return false;
    memcpy(bare, host + 1, n - 2);
    bare[n - 2] = '\0';
    bare[strcspn(bare, "%")] = '\0';
    return inet_pton(AF_INET6, bare, &v6) == 1 && forbidden6(&v6);
}

int http_check_url(const char *url, struct err *err)
{
    struct origin o = {0};
    char shown[300];

    if (parse_origin(url, &o))
        return err_set(err, ERR_SOURCE, "the source leads to what is no URL");
    const char *problem = NULL;
    if (strcasecmp(o.scheme, "https") != 0 && strcasecmp(o.scheme, "http") != 0)
        problem = "is neither http nor https";
    else if (o.user)
        problem = "carries a user name or password";
    else if (is_forbidden_host(o.host))
        problem = "is a link-local address, where clouds serve credentials";
    release_origin(&o);
    if (problem)
        return err_set(err, ERR_SOURCE, "%s %s: refused", http_shown(url, shown), problem);
    return 0;
}
