/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "common/log.h"
#include "job.h"

#define BAR_EVERY_MS 100
#define LINE_EVERY_MS 5000
#define BAR_CELLS_MAX 40
#define COLUMNS_DEFAULT 80

const char *progress_bytes(uint64_t bytes, char out[static 32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1023.95 && unit + 1 < sizeof units / sizeof *units) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

struct snapshot {
    const char *phase;
    uint64_t done, total, files, files_total;
    uint64_t speed; /* bytes a second since the phase began */
    int64_t eta_s;  /* -1 when it can't be told */
};

static void take_snapshot(struct progress *p, struct snapshot *s)
{
    const char *phase = atomic_load(&p->phase);
    int64_t ms = job_now_ms() - p->phase_began_ms;

    s->phase = phase ? phase : "starting";
    s->done = atomic_load(&p->bytes_done);
    s->total = atomic_load(&p->bytes_total);
    s->files = atomic_load(&p->files_done);
    s->files_total = atomic_load(&p->files_total);
    uint64_t fresh = s->done > p->phase_began_bytes ? s->done - p->phase_began_bytes : 0;
    s->speed = ms > 0 ? (uint64_t)((double)fresh * 1000 / (double)ms) : 0;
    s->eta_s = s->speed && s->total >= s->done ? (int64_t)((s->total - s->done) / s->speed) : -1;
}

static int terminal_columns(void)
{
    struct winsize w = {0};

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || !w.ws_col ? COLUMNS_DEFAULT : w.ws_col;
}

static void clear_bar(struct progress *p)
{
    if (p->drawn)
        (void)fputs("\r\033[K", stderr);
    p->drawn = false;
}

static void draw_bar(struct progress *p)
{
    struct snapshot s;
    char done[32], total[32], speed[32], tail[128], cells[BAR_CELLS_MAX * 3 + 1] = "";
    char eta[32] = "";

    take_snapshot(p, &s);
    if (s.eta_s >= 0)
        (void)snprintf(eta, sizeof eta, "  %lld:%02lld left", (long long)s.eta_s / 60,
                       (long long)s.eta_s % 60);
    (void)snprintf(tail, sizeof tail, " %s of %s  %llu/%llu files  %s/s%s",
                   progress_bytes(s.done, done), progress_bytes(s.total, total),
                   (unsigned long long)s.files, (unsigned long long)s.files_total,
                   progress_bytes(s.speed, speed), eta);
    int room = terminal_columns() - (int)strlen(s.phase) - (int)strlen(tail) - 2;
    int width = room > BAR_CELLS_MAX ? BAR_CELLS_MAX : room > 4 ? room : 0;
    int full = s.total ? (int)((double)s.done / (double)s.total * width) : 0;
    for (int i = 0; i < width; i++)
        (void)strcat(cells, i < full ? "█" : "░");
    (void)fprintf(stderr, "\r\033[K%s %s%s", s.phase, cells, tail);
    (void)fflush(stderr);
    p->drawn = true;
}

static void log_line(struct progress *p)
{
    struct snapshot s;

    take_snapshot(p, &s);
    json_t *fields =
        json_pack("{s:I, s:I, s:I, s:I, s:I}", "bytesDone", (json_int_t)s.done, "bytesTotal",
                  (json_int_t)s.total, "filesDone", (json_int_t)s.files, "filesTotal",
                  (json_int_t)s.files_total, "bytesPerSecond", (json_int_t)s.speed);
    if (s.eta_s >= 0)
        json_object_set_new(fields, "secondsLeft", json_integer(s.eta_s));
    json_object_set_new(fields, "model", json_string_lossy(p->title));
    log_event(LOG_INFO, s.phase, fields);
}

static void show_note(struct progress *p)
{
    if (p->terminal) {
        clear_bar(p);
        (void)fprintf(stderr, "%s\n", p->note);
    } else {
        json_auto_t *note = json_string_lossy(p->note); /* may be cut within a character */
        log_event(LOG_INFO, json_string_value(note),
                  json_pack("{s:o}", "model", json_string_lossy(p->title)));
    }
    p->note[0] = '\0';
}

static void *show(void *arg)
{
    struct progress *p = arg;
    int64_t every = p->terminal ? BAR_EVERY_MS : LINE_EVERY_MS;
    int64_t next = job_now_ms() + every;

    (void)pthread_mutex_lock(&p->lock);
    while (!p->ending) {
        struct timespec until = {.tv_sec = next / 1000, .tv_nsec = next % 1000 * 1000000};
        (void)pthread_cond_timedwait(&p->wake, &p->lock, &until);
        if (p->note[0])
            show_note(p);
        if (p->ending || job_now_ms() < next)
            continue;
        next = job_now_ms() + every;
        if (p->terminal && atomic_load(&p->bytes_total))
            draw_bar(p);
        else if (!p->terminal)
            log_line(p);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return NULL;
}

void progress_start(struct progress *p, bool terminal)
{
    pthread_condattr_t attributes;

    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    p->terminal = terminal;
    p->ending = false;
    p->note[0] = '\0';
    p->phase_began_ms = job_now_ms();
    p->running = !pthread_create(&p->thread, NULL, show, p);
}

void progress_end(struct progress *p)
{
    if (!p->running)
        return;
    (void)pthread_mutex_lock(&p->lock);
    p->ending = true;
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
    (void)pthread_join(p->thread, NULL);
    (void)pthread_cond_destroy(&p->wake);
    (void)pthread_mutex_destroy(&p->lock);
    clear_bar(p);
    (void)fflush(stderr);
    p->running = false;
}

void progress_title(struct progress *p, const char *title)
{
    if (!p->running)
        return;
    (void)pthread_mutex_lock(&p->lock);
    (void)snprintf(p->title, sizeof p->title, "%s", title);
    (void)pthread_mutex_unlock(&p->lock);
}

void progress_phase(struct progress *p, const char *phase, uint64_t bytes, uint64_t files)
{
    if (p->running)
        (void)pthread_mutex_lock(&p->lock);
    atomic_store(&p->phase, phase);
    atomic_store(&p->bytes_done, 0);
    atomic_store(&p->bytes_total, bytes);
    atomic_store(&p->files_done, 0);
    atomic_store(&p->files_total, files);
    p->phase_began_ms = job_now_ms();
    p->phase_began_bytes = 0;
    if (p->running)
        (void)pthread_mutex_unlock(&p->lock);
}

void progress_note(struct progress *p, const char *format, ...)
{
    va_list args;

    if (!p->running)
        return;
    (void)pthread_mutex_lock(&p->lock);
    va_start(args, format);
    (void)vsnprintf(p->note, sizeof p->note, format, args);
    va_end(args);
    (void)pthread_cond_signal(&p->wake);
    (void)pthread_mutex_unlock(&p->lock);
}
