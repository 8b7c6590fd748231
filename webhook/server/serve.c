/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/server/serve.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/json.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "webhook/server/certs.h"
#include "webhook/server/connection.h"
#include "webhook/server/listen.h"
#include "webhook/server/metrics.h"
#include "webhook/server/route.h"
#include "webhook/server/server.h"

#define TICK_MS 250
#define CERTS_POLL_MS 2000
/* After the listener is closed: every request that has begun is done or past its deadline. */
#define LAST_REQUESTS_MS (CONNECTION_DEADLINE_MS + 2000)
/* Memory of large reviews goes back to the kernel when they are done. */
#define MMAP_THRESHOLD_BYTES (256 * 1024)
#define ARENAS_MAX 2

/* What the main thread looks after. */
struct watch {
    sigset_t signals;
    int64_t certs_polled_ms;
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Signals are taken by the main thread alone, so the others must start with them blocked. */
static void block_signals(sigset_t *signals)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, signals, NULL);
}

static void poll_certs(struct watch *watch, int64_t now)
{
    struct err err = {0};

    if (now - watch->certs_polled_ms < CERTS_POLL_MS)
        return;
    watch->certs_polled_ms = now;
    int rc = certs_poll(now, &err);
    if (rc > 0)
        log_event(LOG_INFO, "certificate reloaded",
                  json_pack("{s:I}", "expires", (json_int_t)certs_expiry()));
    if (rc < 0)
        log_event(LOG_ERROR, "certificate not reloaded; the one before stays",
                  json_pack("{s:o}", "error", json_string_lossy(err.msg)));
}

/* Waits a tick and does what is due. True when a signal came. */
static bool tick(struct watch *watch)
{
    const struct timespec wait = {.tv_nsec = TICK_MS * 1000000L};
    int signal_number = sigtimedwait(&watch->signals, NULL, &wait);
    int64_t now = now_ms();

    connections_reap(now);
    poll_certs(watch, now);
    return signal_number > 0;
}

/* {"port":N}, for whoever started us on port 0. */
static int write_ready_file(const char *path, uint16_t port, struct err *err)
{
    autofree char *text = xasprintf("{\"port\":%u}\n", (unsigned)port);

    return file_replace_path(path, text, strlen(text), 0644, err);
}

/*
 * The end without a lost request: first every answer asks its client to
 * come back on another connection, which by then leads elsewhere; then no new connection is taken;
 * then what is under way is finished. A second signal cuts this short.
 */
static void drain(struct watch *watch, struct service *service, struct server *server)
{
    int64_t end = now_ms() + service->config->drain_s * 1000;

    atomic_store(&service->draining, true);
    log_event(LOG_INFO, "draining",
              json_pack("{s:I}", "seconds", (json_int_t)service->config->drain_s));
    while (now_ms() < end)
        if (tick(watch))
            return;
    server_close_listener(server);
    end = now_ms() + LAST_REQUESTS_MS;
    while (now_ms() < end && (metrics_requests_in_flight() || connections_busy()))
        if (tick(watch))
            return;
}

static int run(const struct options *options, struct watch *watch, struct service *service,
               struct err *err)
{
    const struct config *config = service->config;
    struct listen_address address;
    struct server *server = NULL;
    uint16_t port = 0;
    int fd = -1;

    if (listen_parse(config->listen, &address, err) ||
        listen_open(&address, config->listen, &fd, err))
        return -1;
    if (listen_port(fd, &port, err)) {
        (void)close(fd);
        return -1;
    }
    if (server_start(service, fd, &server, err))
        return -1;
    log_event(LOG_INFO, "listening",
              json_pack("{s:s, s:i, s:s, s:s}", "address", config->listen, "port", (int)port,
                        "version", MODELBERTH_VERSION, "initImage", config->init.image));
    int rc = options->ready_file ? write_ready_file(options->ready_file, port, err) : 0;
    if (!rc) {
        while (!tick(watch))
            continue;
        drain(watch, service, server);
    }
    server_stop(server);
    log_event(LOG_INFO, "stopped", NULL);
    return rc;
}

int serve_run(const struct options *options, const struct config *config, struct err *err)
{
    struct service service = {.config = config};
    struct watch watch = {0};

    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX);
    block_signals(&watch.signals);
    /* one that a killed run left would name a port that is not ours */
    if (options->ready_file && unlink(options->ready_file) && errno != ENOENT)
        return err_errno(err, errno, "cannot remove '%s'", options->ready_file);
    int rc = certs_load(config->tls.certificate, config->tls.key, err);
    if (!rc)
        rc = run(options, &watch, &service, err);
    certs_release();
    return rc;
}
