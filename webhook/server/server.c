/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/server/server.h"

#include <microhttpd.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "webhook/server/certs.h"
#include "webhook/server/connection.h"
#include "webhook/server/exchange.h"

#define CONNECTIONS_MAX 512U
#define CONNECTIONS_PER_PEER_MAX 256U
#define CONNECTION_MEMORY_BYTES ((size_t)64 * 1024) /* request line and headers */
#define STACK_BYTES ((size_t)1024 * 1024)           /* jansson recurses */
#define THREADS_MIN 2U /* while one reads a large review, the other answers small ones */
#define THREADS_MAX 8U
#define LOG_TEXT_BYTES 512

/* libmicrohttpd sets up ALPN for HTTP/1.1 itself. */
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct server {
    struct MHD_Daemon *daemon;
    int fd; /* -1 once the listener is closed */
};

/* Its messages are about single connections (failed handshakes, clients gone): nothing to act on.
 */
static void log_library(void *cls, const char *format, va_list args)
{
    char text[LOG_TEXT_BYTES];

    (void)cls;
    (void)vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_event(LOG_DEBUG, "http", json_pack("{s:o}", "text", json_string_lossy(text)));
}

/* Paths are compared as they were sent: /healthz%00 is not /healthz. */
static size_t leave_escaped(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

static unsigned thread_count(void)
{
    cpu_set_t set;
    unsigned n = THREADS_MIN;

    if (!sched_getaffinity(0, sizeof set, &set))
        n = (unsigned)CPU_COUNT(&set);
    return n < THREADS_MIN ? THREADS_MIN : n > THREADS_MAX ? THREADS_MAX : n;
}

int server_start(struct service *service, int fd, struct server **out, struct err *err)
{
    struct server *server = xcalloc(1, sizeof *server);
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_library, NULL},
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_THREAD_POOL_SIZE, thread_count(), NULL},
        {MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, CONNECTIONS_PER_PEER_MAX, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_IDLE_S, NULL},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_escaped, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)connection_notify, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)exchange_completed, NULL},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(intptr_t)TLS_PRIORITIES},
        {MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, (void *)(intptr_t)certs_retrieve},
        {MHD_OPTION_END, 0, NULL},
    };

    server->fd = fd;
    /* poll rather than epoll: faster up to some dozens of connections, and it may be quiesced */
    server->daemon = MHD_start_daemon(
        MHD_USE_TLS | MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        exchange_handle, service, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!server->daemon) {
        (void)close(fd);
        free(server);
        return err_set(err, ERR_SYSTEM, "cannot start the HTTPS server");
    }
    *out = server;
    return 0;
}

void server_close_listener(struct server *server)
{
    if (server->fd < 0)
        return;
    (void)MHD_quiesce_daemon(server->daemon);
    (void)close(take_fd(server->fd));
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    server_close_listener(server);
    MHD_stop_daemon(server->daemon);
    free(server);
}
