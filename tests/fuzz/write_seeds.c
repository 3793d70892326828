/*
 * SPDX-FileCopyrightText: 2026 The fleetpki authors
 * SPDX-License-Identifier: Apache-2.0
 */
/*
 * Writes the first inputs of every target, from real messages, certificates and keys: write_seeds FOLDER. The fuzzers
 * take it from there.
 */
#include <mbedtls/x509_crt.h>
#include <sys/stat.h>

#include "bytes.h"
#include "cloud.h"
#include "require.h"

static const char *s_folder;

static void write_seed(const char *target, const char *name, const void *data, size_t len)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", s_folder, target);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s", s_folder, target, name);
    FILE *file = fopen(path, "wb");
    REQUIRE(file != NULL && fwrite(data, 1, len, file) == len && fclose(file) == 0, path);
}

static void write_message(const char *name, const cloud_message_t *message)
{
    write_seed("messages", name, message->payload, strlen(message->payload));
}

/* Have a device ask, so that there is something to answer. */
static void write_messages(void)
{
    static world_t world;
    cloud_message_t message;
    const pool_key_t *key = &pool()->keys[1];
    world_init(&world);
    world_boot(&world);
    while (!world.online || world.agent.using == CERT_IDENTITY_BOOTSTRAP) {
        if (world.online && cloud_answer(&world, true, POOL_GOOD, &message)) {
            write_message("accepted", &message);
        }
        if (world.online && cloud_reject(&world, true, "busy", 30, &message)) {
            write_message("rejected", &message);
        }
        cloud_help(&world, POOL_GOOD);
    }
    cloud_rotate("r-1", "ec-p256", &message);
    write_message("rotate", &message);
    world_message(&world, world.fake.connect.connection, message.topic, message.payload, strlen(message.payload));
    if (cloud_answer(&world, false, POOL_GOOD_NEWER, &message)) {
        write_message("issued", &message);
    }
    cloud_push("r-2", &key->certificates[POOL_GOOD], key, &message);
    write_message("pushed", &message);
    cloud_commit(&world, false, &message);
    write_message("commit", &message);
    cloud_trust(CLOUD_TRUST_TWO_2, &message);
    write_message("trust", &message);
}

static size_t put_slice(uint8_t *out, const void *data, size_t len)
{
    bytes_put_u16(out, (uint16_t)len);
    memcpy(out + 2, data, len);
    return len + 2;
}

static void write_credentials(void)
{
    static const uint8_t good[] = {0, 0, 0, 0, 0, 0, 0, 0x80};
    static const uint8_t newer[] = {0, 0, 0, 1, 0, 1, 0, 0x80, 1, 0, 0};
    static const uint8_t changed[] = {1, 0, 0, 0, 0, 0, 0, 0x80, 0, 1, 0, 1, 5};
    static const uint8_t update[] = {3, 2, 0, 0};
    uint8_t anything[8192] = {2, 0};
    const pool_key_t *key = &pool()->keys[1];
    const char *pem = key->certificates[POOL_GOOD].pem;
    write_seed("credentials", "good", good, sizeof(good));
    write_seed("credentials", "newer", newer, sizeof(newer));
    write_seed("credentials", "changed", changed, sizeof(changed));
    write_seed("credentials", "update", update, sizeof(update));

    size_t len = 2;
    mbedtls_x509_crt crt;
    mbedtls_x509_crt_init(&crt);
    REQUIRE(mbedtls_x509_crt_parse(&crt, (const unsigned char *)pem, strlen(pem) + 1) == 0, "the pool");
    len += put_slice(anything + len, key->pem, strlen(key->pem));
    len += put_slice(anything + len, crt.raw.p, crt.raw.len);
    len += put_slice(anything + len, pool()->pki.chain_pem, strlen(pool()->pki.chain_pem));
    write_seed("credentials", "der", anything, len);
    mbedtls_x509_crt_free(&crt);
    anything[1] = 1;
    len = 2 + put_slice(anything + 2, key->pem, strlen(key->pem));
    len += put_slice(anything + len, pem, strlen(pem));
    write_seed("credentials", "text", anything, len);
}

static void write_stores(void)
{
    /* clock, boot RAM, number of values; each: key, kind, …; steps */
    static const uint8_t one[] = {0, 0x80, 0, 0, 2, 0, 2, 0, 0, 3, 0, 'r', '-', '1', 1, 1, 0, 0, 0,
                                  2, 1, 1, 10, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 3, 1, 4};
    static const uint8_t two[] = { 0, 0x80, 0, 0, 3,   0,   2,   0, 0, 0, 0, 1, 1, 0, 0, 0,  1, 2,
                                   1, 1,    3, 0, 'r', '-', '2', 2, 2, 0, 0, 0, 2, 1, 1, 10, 0, 1,
                                   2, 1,    0, 0, 0,   0,   0,   0, 0, 3, 7, 3, 7, 3, 7, 3,  0 };
    static const uint8_t trust[] = {0, 0x80, 0, 0, 3, 3, 2, 1, 0, 0, 0, 4, 2, 2, 0, 0, 0,
                                    5, 1, 1, 10, 0, 0, 0, 0, 0xD2, 0x49, 0x6B, 0, 0, 0, 0, 3, 0};
    write_seed("store", "one", one, sizeof(one));
    write_seed("store", "two", two, sizeof(two));
    write_seed("store", "trust", trust, sizeof(trust));
}

static void write_consoles(void)
{
    static const char plain[] =
        "\1\0\0config set id pump-1\nconfig get\nstatus\ncsr\nhelp\nlog debug\nrestart\npowercycle\nfactory-reset\n";
    static const char stored[] =
        "\5\44\0{\"id\":\"pump-1\",\"backoff-min-ms\":\"10\"}"
        "config set broker a.b\nconfig set backoff-max-ms 9\ncsr rsa\n";
    write_seed("console", "plain", plain, sizeof(plain) - 1);
    write_seed("console", "stored", stored, sizeof(stored) - 1);
}

static void write_lives(void)
{
    static const uint8_t rotation[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1};
    static const uint8_t pushed[] = { 0, 0, 0, 0, 0, 0,  0, 0,  0, 0, 10, 0x41, 0, 1, 0,
                                      1, 0, 1, 0, 1, 11, 0, 12, 2, 0, 0,  0,    0, 0, 0 };
    static const uint8_t refused[] = { 0, 0, 0,    0, 0, 0, 0, 0, 0,    0, 10, 0x42, 1,
                                       1, 5, 0x31, 0, 0, 0, 0, 5, 0x91, 0, 0,  0,    0 };
    static const uint8_t cut[] = {0, 0, 0, 0, 0, 0, 17, 0x91, 0, 0, 0, 0, 17, 1, 10, 0x43, 0, 1, 0, 0, 0, 0};
    write_seed("agent", "rotation", rotation, sizeof(rotation));
    write_seed("agent", "pushed", pushed, sizeof(pushed));
    write_seed("agent", "refused", refused, sizeof(refused));
    write_seed("agent", "cut", cut, sizeof(cut));
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 2, "usage: write_seeds FOLDER");
    s_folder = argv[1];
    (void)mkdir(s_folder, 0777);
    write_messages();
    write_credentials();
    write_stores();
    write_consoles();
    write_lives();
    return 0;
}
