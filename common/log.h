/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_LOG_H
#define MODELBERTH_LOG_H

#include <jansson.h>

/*
 * One JSON line per event on standard error, which is what clusters collect:
 *
 *     {"time":"2026-01-02T03:04:05.678Z","level":"info","msg":"listening","port":8443}
 *
 * Only main-level code logs (a program's main, server, report); library code
 * returns errors. Lines of several threads never mix.
 */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* What is below the level is not written. Default LOG_INFO. Call before threads start. */
void log_set_level(enum log_level level);

/* Parses debug, info, warn, error. Returns 1, or 0 when it is none of them. */
int log_level_parse(const char *name, enum log_level *out);

/*
 * Takes the reference to `fields` (an object whose members follow `msg`, or
 * NULL), so that a json_pack() call can stand in the argument list.
 */
void log_event(enum log_level level, const char *msg, json_t *fields);

#endif
