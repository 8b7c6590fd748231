/* SPDX-License-Identifier: Apache-2.0 */
/* The config file, and the flags over it. */
#include "tests/unit/test.h"

#include "common/cleanup.h"
#include "common/strbuf.h"
#include "webhook/close_names.h"
#include "webhook/config.h"
#include "webhook/options.h"
#include "webhook/server/listen.h"

static int parse(struct config *config, const char *text, struct err *err)
{
    config_defaults(config);
    return config_parse(config, "c.yaml", text, strlen(text), err);
}

static void check_refused(const char *text, const char *message)
{
    config_auto struct config config;
    struct err err = {0};

    if (!parse(&config, text, &err))
        fail_msg("accepted: %s", text);
    assert_int_equal(err.kind, ERR_INPUT);
    assert_has(err.msg, message);
}

static void check_is_default(const struct config *c)
{
    assert_string_equal(c->listen, "0.0.0.0:8443");
    assert_string_equal(c->tls.certificate, "/etc/modelberth/tls/tls.crt");
    assert_string_equal(c->tls.key, "/etc/modelberth/tls/tls.key");
    assert_int_equal(c->drain_s, 10);
    assert_string_equal(c->init.image, "");
    assert_string_equal(c->init.image_pull_policy, "IfNotPresent");
    assert_string_equal(c->init.cpu, "500m");
    assert_string_equal(c->init.memory, "128Mi");
    assert_int_equal(c->init.run_as_user, 65532);
    assert_int_equal(c->init.run_as_group, 65532);
    assert_int_equal(c->init.timeout_s, 3600);
    assert_null(c->init.env);
}

static void an_empty_file_leaves_the_defaults(void **state)
{
    static const char *const texts[] = {"",       "# nothing\n",   "---\n",
                                        "null\n", "tls:\ninit:\n", "init: {image: null, env: ~}\n"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        config_auto struct config config;
        struct err err = {0};
        assert_ok(parse(&config, texts[i], &err), err);
        check_is_default(&config);
    }
}

static void the_documented_example_is_the_defaults(void **state)
{
    strbuf_auto struct strbuf text = STRBUF_INIT(65536);
    config_auto struct config config;
    struct err err = {0};

    (void)state;
    config_help(&text);
    assert_false(text.overflow);
    assert_ok(parse(&config, strbuf_text(&text), &err), err);
    check_is_default(&config);
    assert_has(strbuf_text(&text), "\ninit:\n  # Image");
    assert_has(strbuf_text(&text), "\n  resources:\n    # Requests");
}

static void every_key_is_read(void **state)
{
    config_auto struct config c;
    struct err err = {0};

    (void)state;
    assert_ok(parse(&c,
                    "listen: '[::1]:9443'\n"
                    "tls: {certificate: /a, key: /b}\n"
                    "drainSeconds: 0\n"
                    "init:\n"
                    "  image: registry.example:5000/initc@sha256:abc\n"
                    "  imagePullPolicy: Never\n"
                    "  resources:\n"
                    "    cpu: 0.5\n"
                    "    memory: 1024Mi\n"
                    "  runAsUser: 0\n"
                    "  runAsGroup: 1000\n"
                    "  timeout: 1h30m\n"
                    "  env:\n"
                    "    HF_ENDPOINT: https://hub.example\n"
                    "    EMPTY: ''\n",
                    &err),
              err);
    assert_string_equal(c.listen, "[::1]:9443");
    assert_string_equal(c.tls.certificate, "/a");
    assert_string_equal(c.tls.key, "/b");
    assert_int_equal(c.drain_s, 0);
    assert_string_equal(c.init.image, "registry.example:5000/initc@sha256:abc");
    assert_string_equal(c.init.image_pull_policy, "Never");
    assert_string_equal(c.init.cpu, "500m");
    assert_string_equal(c.init.memory, "1Gi");
    assert_int_equal(c.init.run_as_user, 0);
    assert_int_equal(c.init.run_as_group, 1000);
    assert_int_equal(c.init.timeout_s, 5400);
    json_auto_t *env = json_of("{'HF_ENDPOINT':'https://hub.example','EMPTY':''}");
    assert_true(json_equal(c.init.env, env));
}

static void unknown_keys_are_refused_with_their_place(void **state)
{
    (void)state;
    check_refused("# c\ninit:\n  imgae: x\n",
                  "c.yaml:3:3: unknown key 'init.imgae'; did you mean 'init.image'");
    check_refused("image: x\n", "c.yaml:1:1: unknown key 'image'; did you mean 'init.image'");
    check_refused("tls:\n  cert: x\n", "c.yaml:2:3: unknown key 'tls.cert'; did you mean "
                                       "'tls.certificate'?");
    check_refused("a: 1\nzzzzzz: 1\n", "c.yaml:1:1: unknown key 'a'; the keys here are 'listen', "
                                       "'tls', 'drainSeconds', 'init'");
    check_refused("init: {resources: {gpus: 1}}\n",
                  "c.yaml:1:20: unknown key 'init.resources.gpus'; the keys here are 'cpu', "
                  "'memory'");
    check_refused("init: {image: {name: x}}\n", "c.yaml:1:8: init.image: text expected");
}

static void wrong_values_are_refused_with_their_place(void **state)
{
    static const char *const cases[][2] = {
        {"- 1\n", "c.yaml:1:1: a mapping expected"},
        {"tls: x\n", "c.yaml:1:1: tls: a mapping expected"},
        {"\nlisten: 8443\n", "c.yaml:2:1: listen: text expected"},
        {"listen: localhost:1\n", "c.yaml:1:1: listen: 'localhost:1' is not ADDRESS:PORT"},
        {"listen: 0.0.0.0:65536\n", "is not ADDRESS:PORT"},
        {"drainSeconds: '10'\n", "c.yaml:1:1: drainSeconds: a whole number expected"},
        {"drainSeconds: 601\n", "c.yaml:1:1: drainSeconds: 601 is not within 0 to 600"},
        {"init:\n  runAsUser: -1\n", "c.yaml:2:3: init.runAsUser: -1 is not within"},
        {"init:\n  imagePullPolicy: always\n", "'always' is none of Always, IfNotPresent, Never"},
        {"init:\n  image: 'a b'\n", "c.yaml:2:3: init.image: 'a b' is not the name of an image"},
        {"init:\n  timeout: soon\n", "c.yaml:2:3: init.timeout: "},
        {"init:\n  timeout: 200h\n", "c.yaml:2:3: init.timeout: '200h' is longer than 168 hours"},
        {"init:\n  resources:\n    memory: 1GB\n", "c.yaml:3:5: init.resources.memory: "},
        {"init:\n  env: [A]\n", "c.yaml:2:3: init.env: a mapping of names to texts expected"},
        {"init:\n  env:\n    A: 1\n", "the value of A must be text: put it in quotes"},
        {"init:\n  env:\n    A=B: x\n", "'A=B' is not the name of an environment variable"},
        {"init:\n  env:\n    MODELBERTH_PLAN: x\n", "MODELBERTH_PLAN is what the webhook itself"},
        {"tls: {key: ''}\n", "c.yaml:1:7: tls.key: must not be empty"},
        {"a: &a [*a\n", "c.yaml:"},
        {"init: {}\n---\ntls: {}\n", "c.yaml:2:1: only one document expected"},
        {"init: {}\ninit: {}\n", "c.yaml:2:1: key 'init' is there twice"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_refused(cases[i][0], cases[i][1]);
}

static void a_file_that_is_missing_is_named(void **state)
{
    config_auto struct config config;
    struct err err = {0};

    (void)state;
    config_defaults(&config);
    assert_int_equal(config_load(&config, "/nonexistent/c.yaml", &err), -1);
    assert_string_equal(err.msg, "cannot open '/nonexistent/c.yaml': No such file or directory");
}

static int run_nothing(const struct options *options, const struct config *config, struct err *err)
{
    (void)options;
    (void)config;
    (void)err;
    return 0;
}

static const struct command commands[] = {
    {"serve", "serves", run_nothing}, {"inject", "injects", run_nothing}, {0}};

static int parse_line(char *const argv[], struct options *out, struct err *err)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return options_parse(argc, argv, commands, out, err);
}

#define ARGV(...) ((char *const[]){(char *)(intptr_t) "webhook", __VA_ARGS__, NULL})
#define S(text) ((char *)(intptr_t)(text))

static void flags_win_over_the_file(void **state)
{
    config_auto struct config config = {0};
    struct options options;
    struct err err = {0};

    (void)state;
    assert_ok(parse_line(ARGV(S("serve"), S("--listen=127.0.0.1:0"), S("--tls-cert"), S("/c"),
                              S("--init-image"), S("x:1"), S("--log-level"), S("warn")),
                         &options, &err),
              err);
    assert_string_equal(options.command->name, "serve");
    assert_int_equal(options.log_level, LOG_WARN);
    assert_ok(options_config(&options, &config, &err), err);
    assert_string_equal(config.listen, "127.0.0.1:0");
    assert_string_equal(config.tls.certificate, "/c");
    assert_string_equal(config.tls.key, "/etc/modelberth/tls/tls.key");
    assert_string_equal(config.init.image, "x:1");
}

static void a_bad_flag_is_named(void **state)
{
    config_auto struct config config = {0};
    struct options options;
    struct err err = {0};

    (void)state;
    assert_int_equal(parse_line(ARGV(S("serve"), S("--nope")), &options, &err), -1);
    assert_string_equal(err.msg, "no option '--nope' for serve; see --help");
    assert_int_equal(parse_line(ARGV(S("inject"), S("--listen"), S("x")), &options, &err), -1);
    assert_has(err.msg, "no option '--listen' for inject");
    assert_int_equal(parse_line(ARGV(S("serve"), S("--listen")), &options, &err), -1);
    assert_string_equal(err.msg, "--listen needs ADDR:PORT");
    assert_int_equal(parse_line(ARGV(S("serve"), S("inject")), &options, &err), -1);
    assert_has(err.msg, "'inject' is too much");
    assert_int_equal(parse_line(ARGV(S("inject")), &options, &err), -1);
    assert_has(err.msg, "inject needs --file FILE; see --help");
    assert_int_equal(parse_line(ARGV(S("sing")), &options, &err), -1);
    assert_has(err.msg, "no command 'sing'");
    assert_int_equal(parse_line(ARGV(S("serve"), S("--help=1")), &options, &err), -1);
    assert_has(err.msg, "--help takes no value");
    assert_int_equal(parse_line(ARGV(S("serve"), S("--log-level=loud")), &options, &err), -1);
    assert_has(err.msg, "'loud' is none of");
    assert_ok(parse_line(ARGV(S("serve"), S("--init-image"), S("a b")), &options, &err), err);
    assert_int_equal(options_config(&options, &config, &err), -1);
    assert_has(err.msg, "--init-image: 'a b' is not the name of an image");
}

static void the_init_image_is_required(void **state)
{
    config_auto struct config config = {0};
    struct options options;
    struct err err = {0};

    (void)state;
    assert_ok(parse_line(ARGV(S("inject"), S("-f"), S("-")), &options, &err), err);
    assert_string_equal(options.input, "-");
    assert_int_equal(options_config(&options, &config, &err), -1);
    assert_has(err.msg, "set init.image in the config file, or give --init-image");
}

static void addresses_are_numeric_with_a_port(void **state)
{
    static const char *const good[] = {"0.0.0.0:8443", "127.0.0.1:0", "[::]:8443", "[::1]:65535"};
    static const char *const bad[] = {"",          ":8443",       "8443",        "::1:8443",
                                      "[::1]",     "1.2.3.4:",    "1.2.3.4:x",   "1.2.3.4:-1",
                                      "[1.2.3:80", "1.2.3.4:1x2", "1.2.3.256:1", "[1.2.3.4]:80"};
    struct listen_address address;
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(listen_parse(good[i], &address, &err), err);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!listen_parse(bad[i], &address, &err))
            fail_msg("accepted: %s", bad[i]);
}

static void check_close(const char *name, const char *expected)
{
    static const char *const names[] = {"llama-3-8b", "llama-3-70b", "mistral-7b", "a.key", "qwen"};
    struct strlist known = {0};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        strlist_add(&known, names[i]);
    autofree char *text = close_names(name, &known);
    strlist_release(&known);
    assert_string_equal(text, expected);
}

static void close_names_are_those_a_slip_away(void **state)
{
    (void)state;
    check_close("llama-3-8B", "'llama-3-8b' or 'llama-3-70b'");
    check_close("lama-3-70b", "'llama-3-70b'");
    check_close("mistarl-7b", "'mistral-7b'");
    check_close("key", "'a.key'");
    check_close("qwne", "'qwen'");
    check_close("nothing-like-it", "");
    check_close("", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_leaves_the_defaults),
        cmocka_unit_test(the_documented_example_is_the_defaults),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(unknown_keys_are_refused_with_their_place),
        cmocka_unit_test(wrong_values_are_refused_with_their_place),
        cmocka_unit_test(a_file_that_is_missing_is_named),
        cmocka_unit_test(flags_win_over_the_file),
        cmocka_unit_test(a_bad_flag_is_named),
        cmocka_unit_test(the_init_image_is_required),
        cmocka_unit_test(addresses_are_numeric_with_a_port),
        cmocka_unit_test(close_names_are_those_a_slip_away),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
