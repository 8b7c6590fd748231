/* SPDX-License-Identifier: Apache-2.0 */
/* What is the same origin, and where requests must not go. */
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/cleanup.h"
#include "initc/http.h"
#include "initc/http_url.h"

static void an_origin_is_scheme_host_and_port(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"https://h/a", "https://h/b?c"},
        {"https://h/", "https://h:443/"},
        {"http://H.example:80", "http://h.EXAMPLE/x"},
        {"http://[::1]:8080/", "http://[::1]:8080/a"},
    };
    static const char *const other[][2] = {
        {"https://h/", "http://h/"},
        {"https://h/", "https://h:8443/"},
        {"https://h/", "https://h.evil/"},
        {"https://h/", "https://evil/h"},
        {"https://h/", "https://h@evil/"},
        {"https://h/", "no url at all"},
        {"https://h/", ""},
        {"https://h/", "https://h\\@evil/"},
    };

    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_true(http_same_origin(same[i][0], same[i][1]));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (http_same_origin(other[i][0], other[i][1]))
            fail_msg("%s is the origin of %s", other[i][0], other[i][1]);
}

static void forbidden_urls_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "ftp://h/",
        "file:///etc/passwd",
        "https://user@h/",
        "https://u:p@h/",
        "http://169.254.169.254/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.0.1]/",
        "http://2852039166/",
        "http://0xa9.254.1.1/",
        "http://[fe80::1%25eth0]/",
        "",
    };
    static const char *const good[] = {"https://h/",          "http://127.0.0.1:80/",
                                       "http://[::1]/",       "http://10.0.0.1/",
                                       "http://169.253.1.1/", "http://[fd00::1]/"};
    struct err err = {0};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!http_check_url(bad[i], &err))
            fail_msg("accepted: %s", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(http_check_url(good[i], &err), err);
}

static void forbidden_addresses_are_refused_after_dns(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool forbidden;
    } cases[] = {
        {"169.254.169.254", true},  {"169.254.0.0", true},
        {"169.255.0.0", false},     {"127.0.0.1", false},
        {"fe80::1", true},          {"febf::1", true},
        {"fec0::1", false},         {"::ffff:169.254.1.1", true},
        {"::ffff:10.0.0.1", false}, {"fd00:ec2::254", true},
        {"fd00:ec2::253", false},   {"::1", false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        bool is_v4 = inet_pton(AF_INET, cases[i].address, &v4.sin_addr) == 1;
        if (!is_v4)
            assert_int_equal(inet_pton(AF_INET6, cases[i].address, &v6.sin6_addr), 1);
        bool forbidden = http_is_forbidden_address(is_v4 ? (void *)&v4 : (void *)&v6);
        if (forbidden != cases[i].forbidden)
            fail_msg("%s", cases[i].address);
    }
}

static void messages_show_neither_path_nor_query(void **state)
{
    (void)state;
    char shown[300];

    assert_string_equal(http_shown("https://h:8443/secret?token=x#y", shown), "https://h");
    assert_string_equal(http_shown("not a url", shown), "what is no URL");
}

static void references_are_made_absolute(void **state)
{
    (void)state;
    autofree char *a = http_resolve_url("https://h/a/b?c", "/d");
    autofree char *b = http_resolve_url("https://h/a/b", "https://other/x");
    autofree char *c = http_resolve_url("https://h/a/b", "//cdn/x");

    assert_string_equal(a, "https://h/d");
    assert_string_equal(b, "https://other/x");
    assert_string_equal(c, "https://cdn/x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_is_scheme_host_and_port),
        cmocka_unit_test(forbidden_urls_are_refused),
        cmocka_unit_test(forbidden_addresses_are_refused_after_dns),
        cmocka_unit_test(messages_show_neither_path_nor_query),
        cmocka_unit_test(references_are_made_absolute),
    };

    return cmocka_run_group_tests_name("http_url", tests, NULL, NULL);
}
