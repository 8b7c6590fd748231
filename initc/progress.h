/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_PROGRESS_H
#define MODELBERTH_INITC_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * How far the run is: counters that every thread may write, and a thread of its own
 * that shows them on standard error. On a terminal that is one bar; otherwise a
 * JSON line every few seconds, and none at all for what is over before the first.
 */
#define PROGRESS_NOTE_BYTES 256

struct progress {
    _Atomic(const char *) phase; /* a string literal: "resolving", "downloading" ... */
    atomic_uint_fast64_t bytes_done;
    atomic_uint_fast64_t bytes_total;
    atomic_uint_fast64_t files_done;
    atomic_uint_fast64_t files_total;

    pthread_mutex_t lock; /* for everything below */
    pthread_cond_t wake;
    char title[PROGRESS_NOTE_BYTES];
    char note[PROGRESS_NOTE_BYTES]; /* shown once, then empty */
    bool ending;
    bool running;
    bool terminal;
    bool drawn; /* there is a bar on the terminal's line */
    int64_t phase_began_ms;
    uint_fast64_t phase_began_bytes;
    pthread_t thread;
};

/* `terminal`: draw a bar. Starts the thread; a progress that was only zeroed counts silently. */
void progress_start(struct progress *p, bool terminal);

/* Ends the thread and takes the bar away. Safe when it was never started. */
void progress_end(struct progress *p);

/* What is being worked on, for the line's beginning. */
void progress_title(struct progress *p, const char *title);

/* Begins a phase of so many bytes and files; the counters start at 0. */
void progress_phase(struct progress *p, const char *phase, uint64_t bytes, uint64_t files);

/* A sentence for people, such as why something is tried again: shown at once. */
void progress_note(struct progress *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Bytes for people: "1.5 GiB". Writes into `out` and returns it. */
const char *progress_bytes(uint64_t bytes, char out[static 32]);

#endif
