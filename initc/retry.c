/* SPDX-License-Identifier: Apache-2.0 */
#include "retry.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define FIRST_MS 500
#define LONGEST_MS 30000
#define ASKED_MAX_S (7 * 24 * 3600)

bool retry_is_transient(long status)
{
    switch (status) {
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return true;
    default:
        return false;
    }
}

static int64_t seconds_of(const char *digits)
{
    char *end;
    long long n = strtoll(digits, &end, 10);

    if (end == digits || n < 0)
        return -1;
    return n > ASKED_MAX_S ? ASKED_MAX_S : n;
}

int64_t retry_asked_s(const char *retry_after, const char *ratelimit, int64_t now_unix_s)
{
    const char *t = ratelimit ? strstr(ratelimit, ";t=") : NULL;

    if (t && seconds_of(t + 3) >= 0)
        return seconds_of(t + 3) + 1; /* "t" is rounded down */
    if (!retry_after)
        return -1;
    if (retry_after[strspn(retry_after, "0123456789 ")] == '\0')
        return seconds_of(retry_after);
    time_t date = curl_getdate(retry_after, NULL);
    if (date < 0)
        return -1;
    int64_t left = (int64_t)date - now_unix_s;
    return left < 0 ? 0 : left > ASKED_MAX_S ? ASKED_MAX_S : left;
}

int64_t retry_delay_ms(unsigned attempt, int64_t asked_s, uint32_t random)
{
    int64_t longest = FIRST_MS;

    if (asked_s >= 0)
        return asked_s * 1000 + random % 500;
    for (unsigned i = 1; i < attempt && longest < LONGEST_MS; i++)
        longest *= 2;
    if (longest > LONGEST_MS)
        longest = LONGEST_MS;
    return longest / 2 + random % (uint32_t)(longest / 2 + 1);
}

int retry_wait(struct job *job, unsigned attempt, int64_t asked_s, struct err *err)
{
    uint32_t random = 0;
    struct err stop;

    (void)!getrandom(&random, sizeof random, 0);
    int64_t ms = retry_delay_ms(attempt, asked_s, random);
    if (job_now_ms() + ms >= job->deadline_ms)
        return err_wrap(err, "no time left for another try, last failure");
    progress_note(job->progress, "%.180s; next try in %lld.%01lld s", err->msg,
                  (long long)ms / 1000, (long long)ms % 1000 / 100);
    if (job_sleep(job, ms, &stop)) {
        *err = stop;
        return -1;
    }
    return 0;
}
