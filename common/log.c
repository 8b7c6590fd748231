/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "xalloc.h"

static const char *const names[] = {"debug", "info", "warn", "error"};
static enum log_level minimum = LOG_INFO;

void log_set_level(enum log_level level)
{
    minimum = level;
}

int log_level_parse(const char *name, enum log_level *out)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i], name)) {
            *out = (enum log_level)i;
            return 1;
        }
    return 0;
}

void log_event(enum log_level level, const char *msg, json_t *fields)
{
    json_auto_t *extra = fields;
    struct timespec now;
    struct tm tm;
    char seconds[32];

    if (level < minimum)
        return;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    (void)strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &tm);
    autofree char *time = xasprintf("%s.%03ldZ", seconds, now.tv_nsec / 1000000);
    json_auto_t *event =
        json_pack("{s:s, s:s, s:s}", "time", time, "level", names[level], "msg", msg);
    if (extra)
        (void)json_object_update(event, extra);
    autofree char *line = json_dumps(event, JSON_COMPACT);
    if (!line)
        return;
    size_t len = strlen(line);
    line[len] = '\n'; /* in place of the terminator: one write() keeps lines whole */
    ssize_t ignored = write(STDERR_FILENO, line, len + 1);
    (void)ignored;
}
