/* SPDX-License-Identifier: Apache-2.0 */
/* What is tried again, and when. */
#include "tests/unit/test.h"

#include "initc/retry.h"

static void only_transient_answers_are_repeated(void **state)
{
    (void)state;
    static const long yes[] = {408, 425, 429, 500, 502, 503, 504};
    static const long no[] = {200, 206, 301, 400, 401, 403, 404, 410, 412, 416, 451, 501, 505};

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(retry_is_transient(yes[i]));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(retry_is_transient(no[i]));
}

static void the_wait_doubles_with_jitter_up_to_half_a_minute(void **state)
{
    (void)state;
    static const int64_t longest[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};

    for (unsigned i = 0; i < sizeof longest / sizeof *longest; i++) {
        int64_t least = INT64_MAX, most = 0;
        for (uint32_t random = 0; random < 40000; random += 7) {
            int64_t ms = retry_delay_ms(i + 1, -1, random);
            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        assert_int_equal(least, longest[i] / 2);
        assert_in_range(most, longest[i] - 10, longest[i]);
    }
    assert_in_range(retry_delay_ms(UINT32_MAX, -1, UINT32_MAX), 15000, 30000);
}

static void what_the_server_asks_for_is_kept_to(void **state)
{
    (void)state;

    assert_in_range(retry_delay_ms(1, 55, 12345), 55000, 55500);
    assert_in_range(retry_delay_ms(9, 0, 12345), 0, 500);
    assert_int_equal(retry_asked_s("7", NULL, 0), 7);
    assert_int_equal(retry_asked_s("7", "\"api\";r=0;t=55", 0), 56);
    assert_int_equal(retry_asked_s(NULL, "\"api\";r=0;t=55", 0), 56);
    assert_int_equal(retry_asked_s("Thu, 01 Jan 1970 00:02:00 GMT", NULL, 100), 20);
    assert_int_equal(retry_asked_s("Thu, 01 Jan 1970 00:02:00 GMT", NULL, 200), 0);
}

static void what_makes_no_sense_is_not_kept_to(void **state)
{
    (void)state;

    assert_int_equal(retry_asked_s(NULL, NULL, 0), -1);
    assert_int_equal(retry_asked_s("", NULL, 0), -1);
    assert_int_equal(retry_asked_s("soon", NULL, 0), -1);
    assert_int_equal(retry_asked_s("-5", NULL, 0), -1);
    assert_int_equal(retry_asked_s(NULL, "\"api\";r=0", 0), -1);
    assert_int_equal(retry_asked_s("3", "\"api\";r=0;t=x", 0), 3);
    /* and nobody waits longer than a plan can last */
    assert_int_equal(retry_asked_s("99999999999999999999", NULL, 0), 7 * 24 * 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_transient_answers_are_repeated),
        cmocka_unit_test(the_wait_doubles_with_jitter_up_to_half_a_minute),
        cmocka_unit_test(what_the_server_asks_for_is_kept_to),
        cmocka_unit_test(what_makes_no_sense_is_not_kept_to),
    };

    return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
